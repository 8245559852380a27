"""The bootstrap chain: the gold audit, what is left of planted errors, and whether a chain recovers or passes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies.chain import ArmName, BootstrapChain, Generation, How, PlantedError
from superalign.report.plots import CEILING, STUDENT, WEAK, Series
from superalign.report.protocols import difference, estimate, signed
from superalign.report.studies.course import course
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MINUS, MISSING, counted, interval, number, percent

ARMS: dict[ArmName, Series] = {
    "chain": Series("chain", STUDENT.colour, STUDENT.shape, width=3.0),
    "direct": Series("direct", CEILING.colour, CEILING.shape),
    "weakest": Series("weakest over itself", WEAK.colour, WEAK.shape, WEAK.dash),
    "systematic": Series("chain, systematic error", "organism", "triangle"),
    "random": Series("chain, random errors", "twin", "square", "2 3"),
}
PLANTED: dict[How, Series] = {
    "systematic": Series("systematic error", "organism", "triangle", width=3.0),
    "random": Series("random errors", "twin", "square", "5 3"),
}
UNPLANTED = ("chain", "direct", "weakest")
INTERVALS = "in brackets 95 % intervals over seeds and groups"


def part(found: BootstrapChain) -> Part:
    """All of it; the terminal shows what is left of planted errors."""
    return Part(
        key="chain",
        title="Bootstrap chain",
        about=about(found),
        findings=list(findings(found)),
        tables=[planted(found), audit(found), gates(found)],
        in_short=in_short(found),
        in_a_line=in_a_line(found),
        figures=[
            what_is_left(found),
            over_generations(found, "accuracy", lambda own: own.score.accuracy_interval, "Accuracy by generation"),
            over_generations(found, "AUROC", lambda own: own.score.auroc_interval, "AUROC by generation"),
            over_generations(
                found, "repeated", lambda own: own.copied, "Share of the first overseer's errors that is repeated"
            ),
            over_generations(
                found, "unlike", lambda own: own.unlike_first, "Share of answers unlike the first overseer's (drift)"
            ),
        ],
    )


def about(found: BootstrapChain) -> str:
    depths = ", ".join(percent(1 - depth) for depth in found.first_layers)
    return (
        f"The first overseer was taught the truth of {counted(found.labelled, 'question')} of the easiest level of "
        f"{found.task}. Each generation labels {counted(found.trained, 'question')} of other levels for the next, "
        f"which reaches deeper into the same base: the last {depths} of its layers are trained. Audited on "
        f"{counted(found.questions, 'question')} that nobody was given, in {counted(found.seeds, 'seed')}."
    )


def planted(found: BootstrapChain) -> Table:
    """What is left of each planted error, generation by generation."""

    def row(own: PlantedError) -> tuple[Cell, ...]:
        note = f"{percent(own.wrong)} of the labels"
        return (Cell(PLANTED[own.how].name, note), *map(estimate, own.left[1:]), changed(own))

    return Table(
        caption="What is left of an error planted in the first overseer's labels, 1 being all of it; "
        f"{INTERVALS}. Change: from the first student to the last",
        columns=(
            Column("Planted"),
            *(Column(f"Generation {at}", True) for at in range(1, len(found.first_layers))),
            Column("Change", True),
        ),
        rows=tuple(map(row, found.planted)),
    )


def changed(own: PlantedError) -> Cell:
    """From the first student to the last; less is left where it is below 0."""
    found = estimate(own.change)
    return found if isinstance(own.change, Unscored) else Cell(signed(own.change.value), found.note)


def in_short(found: BootstrapChain) -> Table:
    """The same at both ends of the chain."""

    def shown(left: Estimate) -> Cell:
        return Cell(MISSING) if isinstance(left, Unscored) else estimate(left)

    return Table(
        caption=f"What is left of an error planted in the first labels, 1 being all of it; {INTERVALS}",
        columns=(Column("Planted"), Column("First student", True), Column("Last", True), Column("Accuracy", True)),
        rows=tuple(
            (
                Cell(PLANTED[own.how].name),
                shown(own.left[1]),
                shown(own.left[-1]),
                Cell(number(arm.generations[-1].score.accuracy)),
            )
            for own in found.planted
            for arm in found.arms
            if arm.arm == own.how
        ),
    )


def audit(found: BootstrapChain) -> Table:
    """Every generation of every arm against gold labels."""

    def row(name: str, own: Generation) -> tuple[Cell, ...]:
        return (
            Cell(name),
            estimate(own.score.accuracy_interval),
            estimate(own.score.auroc_interval),
            estimate(own.copied),
            estimate(own.unlike_first),
            estimate(own.held_back),
            Cell(f"{own.stopped} of {found.seeds}"),
        )

    return Table(
        caption=f"Gold audit by generation, {INTERVALS}. Repeated: of the first overseer's errors; unlike: of all its "
        f"answers; held back: accuracy on {counted(found.held_back, 'label')} that the gate goes by; stopped: chains "
        f"that had lost more than {number(found.tolerance)} of it",
        columns=(
            Column("Generation"),
            Column("Accuracy", True),
            Column("AUROC", True),
            Column("Repeated", True),
            Column("Unlike", True),
            Column("Held back", True),
            Column("Stopped", True),
        ),
        rows=(
            row("first overseer", found.arms[0].generations[0]),
            *(
                row(f"{ARMS[arm.arm].name} {at}", own)
                for arm in found.arms
                for at, own in enumerate(arm.generations[1:], start=1)
            ),
        ),
    )


def gates(found: BootstrapChain) -> Table:
    """What the gate is worth in each chain."""
    return Table(
        caption=f"The last generation that the gate let pass, against the last of all; {INTERVALS}",
        columns=(
            Column("Chains"),
            Column("Stopped", True),
            Column("Accuracy with the gate", True),
            Column(f"{MINUS} without", True),
        ),
        rows=tuple(
            (
                Cell(ARMS[arm.arm].name),
                Cell(f"{arm.generations[-1].stopped} of {found.seeds}"),
                estimate(arm.gated),
                difference(arm.gate_gain),
            )
            for arm in found.arms
            if arm.arm != "direct"  # which is no chain
        ),
    )


def what_is_left(found: BootstrapChain) -> Figure:
    """The figure that answers whether a chain recovers from an error or passes it on."""
    svg = course(
        "chain-left",
        "What is left of a planted error by generation",
        [str(at) for at in range(len(found.first_layers))],
        [(PLANTED[own.how], own.left) for own in found.planted],
        measure="share left",
        axis="generation →",
        lines=((1.0, "passed on whole"), (0.0, "recovered from")),
    )
    return Figure(
        svg,
        f"What is left of an error planted in the first labels: systematic (questions with {found.kind!r} labelled no) "
        "and as many random ones. At 1 a chain passes it on, at 0 it has recovered.",
    )


def over_generations(
    found: BootstrapChain, measure: str, value: Callable[[Generation], Estimate], caption: str
) -> Figure:
    """One measure in the arms without planted errors."""
    svg = course(
        f"chain-{measure.lower()}",
        caption,
        [str(at) for at in range(len(found.first_layers))],
        [(ARMS[arm.arm], [value(own) for own in arm.generations]) for arm in found.arms if arm.arm in UNPLANTED],
        measure=measure,
        axis="generation →",
    )
    return Figure(svg, f"{caption}.")


def findings(found: BootstrapChain) -> Iterator[str]:
    """Whether the chain is better than what it is compared with, what becomes of errors, and what the gate does."""
    yield compared("direct oversight by the first overseer", found.over_direct)
    yield compared("the weakest model trained on itself", found.over_weakest)
    for own in found.planted:
        yield fate(own)
    for arm in found.arms:
        stopped = arm.generations[-1].stopped
        if stopped and arm.arm != "direct":
            yield (
                f"The gate stopped {stopped} of {found.seeds} of {ARMS[arm.arm].name}; accuracy by that: "
                f"{signed(arm.gate_gain.value)} {interval(arm.gate_gain)}"
            )


def compared(other: str, gain: Interval) -> str:
    """The chain's last generation against another's, in words."""
    told = "better than" if gain.low > 0 else "worse than" if gain.high < 0 else "not shown to differ from"
    return f"The end of the chain is {told} {other}: accuracy {signed(gain.value)} {interval(gain)}"


def fate(own: PlantedError) -> str:
    """Whether the chain recovered from a planted error or passed it on, in words."""
    last, name = own.left[-1], PLANTED[own.how].name
    one = own.how == "systematic"
    verb, fades, grows = ("is", "it fades", "it grows") if one else ("are", "they fade", "they grow")
    if isinstance(last, Unscored) or isinstance(own.change, Unscored):
        reason = last.reason if isinstance(last, Unscored) else ""
        return f"What becomes of the planted {name} can't be said: {reason}"
    then = (
        f"and {fades} from student to student"
        if own.change.high < 0
        else f"and {grows} from student to student"
        if own.change.low > 0
        else "with no change shown after the first student"
    )
    return f"The planted {name} {verb} {outcome(last)}: {number(last.value)} {interval(last)} left at the end, {then}"


def outcome(left: Interval) -> str:
    """By whether its interval excludes that nothing is left, and that all is."""
    if left.high < 1:
        return "partly recovered from, and partly passed on" if left.low > 0 else "recovered from, as far as this shows"
    return "passed on" if left.low > 0 else "neither shown to be passed on nor recovered from"


def in_a_line(found: BootstrapChain) -> str:
    """For the overview: what is left of the planted errors."""
    left = [(own, own.left[-1]) for own in found.planted]
    return "left of planted errors at the end of a chain: " + ", ".join(
        f"{own.how} {number(last.value) if isinstance(last, Interval) else 'not measured'}" for own, last in left
    )
