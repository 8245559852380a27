"""Policies that write their own text, as a person reads of them."""

from __future__ import annotations

from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies import Studies
from superalign.contracts.studies.overoptimization import Combined, Curve, Point, Supervised
from superalign.contracts.studies.written_policy import RewardResult, TrainedPolicy, WrittenPolicyStudy
from superalign.report import html, terminal
from superalign.report.studies import parts, written_policy

from .example import around, example

FALLS, HOLDS = Interval(value=0.2, low=0.1, high=0.3), Interval(value=0.01, low=0, high=0.05)


def curve(gold: list[float], lost: Interval, gained: Interval) -> Curve:
    points = [Point(strength=4.0 * i, distance=0.7 * i, proxy=1.0 * i, gold=around(g)) for i, g in enumerate(gold)]
    return Curve(
        optimizer="reinforcement",
        points=tuple(points),
        initial=around(0.5),
        falling=around(0.1),
        peak=Unscored(reason="it never falls"),
        unexplained=0.0,
        best=Interval(value=4, low=4, high=8),
        lost=lost,
        gained=gained,
    )


def result(supervised: Supervised, combined: Combined, lost: Interval, gained: Interval) -> RewardResult:
    policy = TrainedPolicy(
        beta=0.1,
        curve=curve([0.3, 0.4, 0.2], lost, gained),
        divergence=(around(0), around(0.5), around(2)),
        names=(3.0, 3.5, 9.0),
        example="Paris, Paris, <b>Paris",
    )
    best = curve([0.3, 0.35, 0.4], HOLDS, around(0.1))
    return RewardResult(
        supervised=supervised, combined=combined, members=4, agreement=around(0.7), best_of=best, trained=(policy,)
    )


def found(rewards: tuple[RewardResult, ...] | Unscored) -> WrittenPolicyStudy:
    return WrittenPolicyStudy(
        seeds=2,
        prompts=48,
        pool=32,
        written=4,
        comparisons=64,
        noise=0.2,
        temperature=0.7,
        steps=12,
        batch=32,
        first=around(0.3),
        rewards=rewards,
    )


WORSE, BETTER = Interval(value=-0.1, low=-0.2, high=-0.05), Interval(value=0.1, low=-0.02, high=0.2)
BOTH = found((result("outcome", "alone", FALLS, WORSE), result("outcome", "worst", HOLDS, BETTER)))


def test_what_falls_is_said_where_its_interval_says_so_alone() -> None:
    falls, apart, most = written_policy.findings(BOTH)
    assert "outcome, GRPO, beta 0.1 (by 0.20 [0.10, 0.30])" in falls and "worst" not in falls
    assert "proxy +2.00, gold \N{MINUS SIGN}0.10" in apart and "worst" not in apart
    assert "+0.10" in most
    assert written_policy.in_a_line(BOTH).endswith("1 of 2")
    held = found((result("process", "alone", HOLDS, BETTER),))
    assert written_policy.findings(held)[0].startswith("No reward is shown") and len(written_policy.findings(held)) == 2


def test_what_was_not_measured_is_said_to_be_so() -> None:
    shown = written_policy.part(found(Unscored(reason="nothing to compare")))
    assert "nothing to compare" in shown.findings[0] and "not measured" in shown.in_a_line and not shown.figures


def test_it_is_on_the_page_and_in_the_terminal_with_texts_as_text() -> None:
    summary = example().model_copy(update={"studies": Studies(written_policy=BOTH)})
    page, shown = html.render(summary), terminal.render(summary, width=80)
    [part] = parts(summary.studies)
    assert part.title in page and part.title in shown and len(part.figures) == 2
    assert all(figure.svg in page for figure in part.figures)
    assert "&lt;b&gt;Paris" in page and "<b>Paris" not in page
    assert max(map(len, shown.splitlines())) <= 80
