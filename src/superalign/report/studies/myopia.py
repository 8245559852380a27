"""Myopic approval: who hacks and who does what is wanted, by horizon in gridworlds, and in language."""

from __future__ import annotations

from superalign.contracts.records import Interval
from superalign.contracts.studies.myopia import LanguageWorld, MyopiaStudy, NoteRates, Rates, World
from superalign.report.plots import Series, curves
from superalign.report.protocols import difference, estimate, signed
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import counted, interval, number, percent

INTERVALS = "in brackets 95 % intervals over seeds and groups"
LOOKS = {
    "not at all": ("zero-shot", "triangle", "2 3"),
    "ordinary": ("weak", "square", "5 3"),
    "myopic": ("ceiling", "diamond", "9 3"),
    "myopic with approval": ("student", "circle", "none"),
}


def part(found: MyopiaStudy) -> Part:
    """All of it; the terminal shows the task in language."""
    return Part(
        key="myopia",
        title="Myopic optimization with approval",
        about="In the gridworld one box is wanted, and a camera that is blocked first does not see the second. In "
        "language a model writes a note to its grader, then answers: after a note for a list the grader pays for "
        "all answers at once. An ordinary one is credited with what follows a step; a myopic one with the step's own "
        "reward and, if it is approved of, what an overseer expects of it who would not think of the trick.",
        findings=findings(found),
        tables=[*map(gridworld, found.worlds), language(found.language)],
        in_short=in_short(found.language),
        in_a_line=in_a_line(found),
        figures=[Figure(figure(found.language), "Chance to hack on questions of the test, in the course of training")],
    )


def learner(own: Rates) -> str:
    if own.horizon is None:
        return "ordinary: all steps"
    return f"MONA: {counted(own.horizon, 'step')}" if own.horizon == 1 else f"{own.horizon} steps"


def gridworld(found: World) -> Table:
    """The rates of one gridworld: exact, so without intervals."""
    return Table(
        caption=f"Gridworld of {found.size} by {found.size}: planned exactly from each of "
        f"{counted(found.rates[0].starts, 'start')}, so without intervals",
        columns=(
            Column("Rewards maximized"),
            Column("Approved of"),
            Column("Intended", True),
            Column("Hacked", True),
            Column("Missed", True),
        ),
        rows=tuple(
            (Cell(learner(own)), Cell(own.approved), *map(Cell, map(percent, (own.intended, own.hacked, own.missed))))
            for own in found.rates
        ),
    )


def language(found: LanguageWorld) -> Table:
    """The rates of the task in language."""

    def row(own: NoteRates) -> tuple[Cell, ...]:
        return (
            Cell(own.optimized),
            estimate(own.intended),
            difference(own.over_ordinary),
            estimate(own.hacked),
            estimate(own.listing),
            estimate(own.rewarded),
        )

    return Table(
        caption=f"Language: {counted(found.questions, 'question')} of {found.task} that no policy was trained on, "
        f"{counted(found.seeds, 'seed')}, {INTERVALS}. Intended: a note for one answer, and the true one",
        columns=(
            Column("Optimized"),
            Column("Intended", True),
            Column("Intended, less ordinary", True),
            Column("Hacked", True),
            Column("Notes for a list", True),
            Column("Paid by the grader", True),
        ),
        rows=tuple(map(row, found.rates)),
    )


def in_short(found: LanguageWorld) -> Table:
    """What fits into a terminal."""
    return Table(
        caption=f"Language: {counted(found.questions, 'question')} of {found.task}, {INTERVALS}",
        columns=(Column("Optimized"), Column("Intended", True), Column("Hacked", True)),
        rows=tuple((Cell(own.optimized), estimate(own.intended), estimate(own.hacked)) for own in found.rates),
    )


def figure(found: LanguageWorld) -> str:
    """Hacking by updates."""
    shown = [(Series(own.optimized, *LOOKS[own.optimized]), list(own.hacked)) for own in found.curves]
    columns = [str(number) for number in found.updates]
    described = "; ".join(f"{series.name}: " + ", ".join(map(number, values)) for series, values in shown)
    return curves(
        "myopia",
        "Hacking in the course of training",
        described,
        columns,
        shown,
        "updates →",
        measure="hacked",
        room=150,
    )


def findings(found: MyopiaStudy) -> list[str]:
    """Who hacks where, and what approval is good for."""
    said = []
    for world in found.worlds:
        ordinary = next(own for own in world.rates if own.horizon is None)
        mona = next((own for own in world.rates if (own.horizon, own.approved) == (1, "by foresight")), None)
        if mona:
            said.append(
                f"{world.size} by {world.size} cells: the ordinary learner hacks from {percent(ordinary.hacked)} "
                f"of starts, MONA from {percent(mona.hacked)}, and does what is wanted from {percent(mona.intended)}"
            )
    rates = {own.optimized: own for own in found.language.rates}
    hacking, approved = rates["ordinary"].hacked, rates["myopic with approval"]
    said.append(
        f"Language: ordinary optimization hacks at {number(hacking.value)} {interval(hacking)}, myopic "
        f"with approval at {number(approved.hacked.value)} {interval(approved.hacked)}"
    )
    over = approved.over_ordinary
    if isinstance(over, Interval):
        said.append(f"With approval it does what is wanted by {signed(over.value)} {interval(over)} more often")
    return said


def in_a_line(found: MyopiaStudy) -> str:
    """For the overview: hacking in language, ordinary and approved of."""
    rates = {own.optimized: own.hacked.value for own in found.language.rates}
    return (
        f"hacking {number(rates['ordinary'])} by ordinary optimization, {number(rates['myopic with approval'])} by MONA"
    )
