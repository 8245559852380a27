"""Studies of what optimization does to a signal, as a person reads them."""

from __future__ import annotations

from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies import Studies
from superalign.contracts.studies.myopia import LanguageWorld, MyopiaStudy, NoteCurve, NoteRates, Rates, World
from superalign.contracts.studies.overoptimization import Curve, OveroptimizationStudy, Point, ProxyResult
from superalign.contracts.studies.pressure import PressurePoint, PressureStudy
from superalign.report import html, terminal
from superalign.report.studies import myopia, overoptimization, parts, pressure

from .example import around, example

SIBLINGS = ("another layer", "another kind")


def curve(optimizer: str, gold: list[float], lost: Interval) -> Curve:
    points = [Point(strength=2.0**i, distance=i / 2, proxy=float(i), gold=around(g)) for i, g in enumerate(gold)]
    return Curve(
        optimizer=optimizer,
        points=tuple(points),
        initial=around(0.5),
        falling=around(0.1),
        peak=Unscored(reason="it never falls") if lost.low <= 0 else 0.5,
        unexplained=0.0,
        best=Interval(value=2, low=1, high=4),
        lost=lost,
        gained=around(gold[-1] - gold[0]),
    )


def overoptimized(lost: Interval) -> OveroptimizationStudy:
    proxies = [
        ProxyResult(
            supervised=supervised,
            combined="alone",
            members=1,
            comparisons=16,
            agreement=around(0.7),
            curves=tuple(curve(o, [0.5, 0.7, last], lost) for o in ("best-of-n", "reinforcement", "policy gradient")),
        )
        for supervised, last in (("outcome", 0.6), ("process", 0.9))
    ]
    return OveroptimizationStudy(
        task="table-chain", seeds=2, prompts=20, candidates=8, steps=4, noise=0.2, first=0.5, best=1.0, proxies=proxies
    )


def myopic() -> MyopiaStudy:
    rates = [
        Rates(horizon=None, approved="no", intended=0.8, hacked=0.2, missed=0, starts=100),
        Rates(horizon=1, approved="by foresight", intended=1, hacked=0, missed=0, starts=100),
    ]

    def note(optimized: str, hacked: float) -> NoteRates:
        over = Unscored(reason="it is the baseline") if optimized == "ordinary" else around(0.3)
        shared = {name: around(0.5) for name in ("intended", "listing", "rewarded")}
        return NoteRates(optimized=optimized, hacked=around(hacked), over_ordinary=over, **shared)

    names = {"not at all": 0.1, "ordinary": 0.9, "myopic": 0.1, "myopic with approval": 0.05}
    return MyopiaStudy(
        worlds=(World(size=4, rates=rates),),
        language=LanguageWorld(
            task="cities",
            questions=80,
            seeds=2,
            updates=(0, 10),
            rates=tuple(note(name, hacked) for name, hacked in names.items()),
            curves=tuple(NoteCurve(optimized=name, hacked=(0.1, hacked)) for name, hacked in names.items()),
        ),
    )


def pressed(penalty: float, steps: int, read: float, sibling: float, outcome: str) -> PressurePoint:
    return PressurePoint(
        penalty=penalty,
        steps=steps,
        behaviour=around(0.9),
        capability=around(0.8),
        divergence=around(0.1),
        read=around(read),
        siblings=dict.fromkeys(SIBLINGS, around(sibling)),
        refitted=around(0.9),
        outcome=outcome,
    )


def under_pressure(*points: PressurePoint) -> PressureStudy:
    before = pressed(0, 0, 1.0, 1.0, "in sight")
    return PressureStudy(family="sycophancy", task="cities", seeds=2, questions=50, layer=24, points=(before, *points))


FALLS, HOLDS = Interval(value=0.1, low=0.05, high=0.2), Interval(value=0.01, low=0, high=0.05)


def test_a_reward_is_called_worth_less_when_optimized_further_where_its_interval_says_so_alone() -> None:
    falls, most = overoptimization.findings(overoptimized(FALLS))
    assert falls.startswith("Worth less") and "outcome, 16" in falls and "\N{MINUS SIGN}0.10 [0.05, 0.20]" in falls
    assert "process" in most and "+0.40" in most
    assert overoptimization.findings(overoptimized(HOLDS))[0].startswith("No reward is shown")
    assert overoptimization.in_a_line(overoptimized(HOLDS)).endswith("0 of 2")


def test_a_fit_without_a_peak_is_a_dash_with_its_reason() -> None:
    cell = overoptimization.scores(overoptimized(HOLDS), "best-of-n").rows[0][-1]
    assert (cell.text, cell.note) == ("—", "it never falls")


def test_who_hacks_is_said_of_gridworld_and_language() -> None:
    grid, language, more = myopia.findings(myopic())
    assert "ordinary learner hacks from 20" in grid and "MONA from 0" in grid
    assert "hacks at 0.90" in language and "approval at 0.05" in language
    assert "+0.30" in more


def test_a_sibling_warns_only_where_its_interval_lies_above_chance() -> None:
    hidden = pressed(3, 70, 0.5, 0.9, "out of sight")
    assert "Siblings that still tell: another layer (0.90" in pressure.findings(under_pressure(hidden))[0]
    blind = hidden.model_copy(update={"siblings": dict.fromkeys(SIBLINGS, around(0.5))})
    assert "No sibling is shown" in pressure.findings(under_pressure(blind))[0]
    assert pressure.in_a_line(under_pressure(hidden, pressed(1, 70, 0.9, 0.9, "in sight"))).endswith(
        "1 of 2\N{NO-BREAK SPACE}pressures"
    )


def test_what_went_away_and_what_never_moved_are_said() -> None:
    assert "went away after penalty 30" in pressure.findings(under_pressure(pressed(30, 70, 0.5, 0.5, "gone")))[0]
    assert pressure.findings(under_pressure(pressed(1, 70, 0.9, 0.9, "in sight")))[0].startswith("Under no penalty")


def test_all_of_them_are_on_the_page_and_in_the_terminal() -> None:
    found = Studies(
        overoptimization=overoptimized(FALLS),
        myopia=myopic(),
        pressure=under_pressure(pressed(3, 10, 0.6, 0.9, "out of sight"), pressed(3, 70, 0.5, 0.9, "out of sight")),
    )
    summary = example().model_copy(update={"studies": found})
    page, shown = html.render(summary), terminal.render(summary, width=80)
    for part in parts(found):
        assert part.title in page and part.title in shown
        assert all(figure.svg in page for figure in part.figures if figure.svg)
    assert page.count('id="pressure-') >= 2
