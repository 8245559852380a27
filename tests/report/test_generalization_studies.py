"""Easy-to-hard and the bootstrap chain as a person reads them: what holds, what does not, and what is not known."""

from __future__ import annotations

import pytest

from superalign.contracts.generalization import PGR, Score
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies import Studies
from superalign.contracts.studies.chain import Arm, BootstrapChain, Generation, PlantedError
from superalign.contracts.studies.easy_to_hard import EasyToHard, Role, RoleLevels, TrainedUpTo
from superalign.report import html, terminal
from superalign.report.steps import steps
from superalign.report.studies import chain, easy_to_hard
from superalign.report.studies.course import course

from .example import UNSCORED, around, example

LEVELS = ("easy", "harder", "hardest")
NOTHING = Unscored(reason=UNSCORED)


def ratio(value: float | None) -> PGR:
    bounds = (None, None) if value is None else (value - 0.1, value + 0.1)
    reason = UNSCORED if value is None else "a gap"
    gap = around(0.0 if value is None else 0.2)
    return PGR(
        value=value,
        low=bounds[0],
        high=bounds[1],
        defined=value is not None,
        reason=reason,
        metric="accuracy",
        gap=gap,
        seeds=3,
    )


def role(name: Role, last: float | None = 0.6) -> RoleLevels:
    def levels(first: float) -> tuple[Interval, ...]:
        return tuple(around(first - 0.05 * level) for level in range(3))

    return RoleLevels(
        role=name,
        zero_shot=levels(0.5),
        own_level=levels(0.9),
        up_to=(
            TrainedUpTo(level=0, accuracy=levels(0.8), recovered=(ratio(0.7), ratio(last))),
            TrainedUpTo(level=1, accuracy=levels(0.85), recovered=(ratio(0.8),)),
        ),
        undecided=5 if name == "generator" else 0,
        answers=100,
    )


def hard(last: float | None = 0.6, generator: RoleLevels | Unscored | None = None) -> EasyToHard:
    return EasyToHard(
        task="cities",
        level_names=LEVELS,
        train_groups=40,
        test_questions=(20, 20, 20),
        seeds=3,
        evaluator=role("evaluator", last),
        chooser=role("choosing evaluator"),
        generator=generator or role("generator"),
    )


def exact(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high)


def planted(how: str, last: Interval, change: Interval) -> PlantedError:
    return PlantedError(how=how, wrong=0.12, questions=50, left=(exact(1, 1, 1), last, last), change=change)


PASSED_ON = planted("systematic", exact(0.95, 0.8, 1.1), exact(0.1, -0.1, 0.2))
RECOVERED = planted("random", exact(0.05, -0.1, 0.2), exact(-0.3, -0.4, -0.2))


def bootstrap_chain(*errors: PlantedError, stopped: int = 0) -> BootstrapChain:
    def generation(at: int) -> Generation:
        score = Score(accuracy=0.7, auroc=0.8, accuracy_interval=around(0.7), auroc_interval=around(0.8))
        return Generation(
            score=score,
            unlike_first=around(0.1 * at),
            copied=around(0.6) if at else NOTHING,
            held_back=around(0.8),
            stopped=stopped if at == 2 else 0,
        )

    return BootstrapChain(
        task="cities",
        first_layers=(0.9, 0.75, 0.6),
        labelled=80,
        held_back=80,
        trained=400,
        questions=400,
        seeds=4,
        tolerance=0.05,
        kind="in (China|India)",
        rate=0.9,
        arms=tuple(
            Arm(arm=arm, generations=tuple(map(generation, range(3))), gated=around(0.7), gate_gain=around(0.02))
            for arm in ("chain", "direct", "weakest", "systematic", "random")
        ),
        over_direct=exact(-0.05, -0.08, -0.02),
        over_weakest=exact(0.01, -0.02, 0.04),
        planted=errors or (PASSED_ON, RECOVERED),
    )


def test_the_page_and_the_terminal_show_both_studies() -> None:
    summary = example().model_copy(update={"studies": Studies(easy_to_hard=hard(), chain=bootstrap_chain())})
    page, shown = html.render(summary), terminal.render(summary, width=80)
    for title in ("Easy-to-hard", "Bootstrap chain"):
        assert title in page and title in shown
    for figure in ("easy-to-hard-evaluator", "easy-to-hard-choosing-evaluator", "easy-to-hard-generator", "chain-left"):
        assert page.count(f'id="{figure}-title"') == 1
    assert max(map(len, shown.splitlines())) <= 80
    [generalize] = [step for step in steps(summary) if step.name == "generalize"]
    assert "SGR at the hardest level: 0.60 [0.50, 0.70]" in " ".join(generalize.detail)
    assert "systematic 0.95, random 0.05" in " ".join(generalize.detail)


def test_a_ratio_that_is_undefined_is_a_dash_with_its_reason() -> None:
    found = hard(last=None)
    said = list(easy_to_hard.findings(found))
    assert any("no SGR at hardest" in sentence and UNSCORED in sentence for sentence in said)
    assert "Of 3 SGR of the evaluator, 1 are undefined" in said
    cell = easy_to_hard.recoveries(found, found.evaluator).rows[0][-1]
    assert cell.text == "\N{EM DASH}" and cell.note == UNSCORED
    assert easy_to_hard.part(found).in_a_line.endswith("undefined")


def test_levels_that_were_taught_have_no_ratio() -> None:
    own = hard()
    rows = easy_to_hard.recoveries(own, own.evaluator).rows
    assert [[cell.text for cell in row[1:]] for row in rows] == [["0.70", "0.60"], ["", "0.80"]]


def test_a_study_without_generator_says_why_and_draws_none() -> None:
    part = easy_to_hard.part(hard(generator=NOTHING))
    assert f"There is no generator: {UNSCORED}" in part.findings
    assert len(part.figures) == 2 and len(part.tables) == 4


def test_answers_that_name_neither_are_told() -> None:
    [told] = [sentence for sentence in easy_to_hard.findings(hard()) if "named neither" in sentence]
    assert "5\N{NO-BREAK SPACE}%" in told


@pytest.mark.parametrize(
    ("left", "change", "says"),
    [
        (exact(0.95, 0.8, 1.1), exact(0.1, -0.1, 0.2), ("is passed on:", "no change shown")),
        (exact(0.05, -0.1, 0.2), exact(-0.3, -0.4, -0.2), ("is recovered from, as far as", "fades")),
        (exact(0.5, 0.2, 0.8), exact(0.2, 0.1, 0.3), ("partly recovered from, and partly passed on", "grows")),
        (exact(0.5, -0.2, 1.2), exact(0.0, -1, 1), ("neither shown to be passed on nor recovered from",)),
    ],
)
def test_the_fate_of_an_error_follows_its_interval(left: Interval, change: Interval, says: tuple[str, ...]) -> None:
    sentence = chain.fate(planted("systematic", left, change))
    assert all(words in sentence for words in says)


def test_what_was_not_there_to_be_left_is_not_called_recovered() -> None:
    own = PlantedError(how="random", wrong=0.0, questions=50, left=(NOTHING,) * 3, change=NOTHING)
    assert UNSCORED in chain.fate(own) and "recovered" not in chain.fate(own)
    part = chain.part(bootstrap_chain(own))
    assert part.in_a_line.endswith("random not measured")
    assert part.figures[0].svg == ""
    assert all(cell.text == "\N{EM DASH}" for cell in part.in_short.rows[0][1:3])


def test_the_chain_is_held_against_direct_oversight_and_the_weakest() -> None:
    direct, weakest, *_ = chain.findings(bootstrap_chain())
    assert "worse than direct oversight" in direct and "\N{MINUS SIGN}0.05" in direct
    assert "not shown to differ from the weakest" in weakest


def test_the_gate_is_told_of_only_where_it_stopped_something() -> None:
    assert not any("gate stopped" in sentence for sentence in chain.findings(bootstrap_chain()))
    told = [sentence for sentence in chain.findings(bootstrap_chain(stopped=3)) if "gate stopped" in sentence]
    assert len(told) == 4 and all("3 of 4" in sentence for sentence in told)  # direct oversight is no chain


def test_a_course_draws_only_what_is_scored() -> None:
    series = chain.PLANTED["systematic"]
    values = (around(0.5), NOTHING, around(0.7))
    svg = course("k", "t", ["a", "b", "c"], [(series, values)], measure="m", axis="x", lines=((1.0, "all"),))
    assert svg.count('class="whisker"') == 2 and "b " not in svg.partition("<desc")[2].partition("</desc>")[0]
    assert course("k", "t", ["a"], [(series, (NOTHING,))], measure="m", axis="x") == ""
