"""Weak-to-strong by training loss: a table for each task, and which losses helped in words."""

from __future__ import annotations

from typing import Literal

from superalign.contracts.generalization import PGR
from superalign.contracts.records import Interval
from superalign.contracts.studies.losses import LossResult, LossStudy, Reference, TaskLosses
from superalign.report.plots import CEILING, WEAK, ZERO_SHOT, Series, intervals
from superalign.report.protocols import difference, estimate, signed
from superalign.report.studies.part import Figure, Part
from superalign.report.tables import Cell, Column, Table
from superalign.report.wording import MINUS, MISSING, counted, interval, number

Metric = Literal["accuracy", "auroc"]
METRICS: dict[Metric, str] = {"accuracy": "Accuracy", "auroc": "AUROC"}
REFERENCES = {"overseer": WEAK, "ceiling": CEILING, "zero-shot": ZERO_SHOT}
INTERVALS = "in brackets 95 % intervals over seeds and groups, differences paired"


def part(found: LossStudy) -> Part:
    """All of it; the terminal shows the first task."""
    return Part(
        key="losses",
        title="Weak-to-strong by training loss",
        about=f"Students of every loss learn from the same labels of {found.overseer}, with the same recipe, in "
        f"{counted(found.seeds, 'seed')}. The ceiling learns from the truth.",
        findings=[sentence for task in found.tasks for sentence in findings(task)],
        tables=[scores(task) for task in found.tasks],
        figures=[
            Figure(forest(task, metric, f"losses-{place}-{metric}"), caption(task, metric))
            for place, task in enumerate(found.tasks)
            for metric in METRICS
        ],
        in_short=in_short(found.tasks[0]),
        in_a_line=in_a_line(found),
    )


def scores(found: TaskLosses) -> Table:
    """Each loss, and what no loss plays a part in."""
    most = max(own.lessons for own in found.losses)

    def row(own: LossResult) -> tuple[Cell, ...]:
        return (
            Cell(own.loss, f"{own.lessons:,} labels" if own.lessons != most else ""),
            Cell(number(own.score.accuracy), interval(own.score.accuracy_interval)),
            difference(own.over_xent),
            Cell(number(own.score.auroc), interval(own.score.auroc_interval)),
            recovered(own.pgr),
            recovered(own.pgr_auroc),
            estimate(own.agreement_on_weak_wrong),
            estimate(own.calibration_error),
        )

    def beside(own: Reference) -> tuple[Cell, ...]:
        empty = Cell("")
        return (
            Cell(own.name),
            Cell(number(own.score.accuracy), interval(own.score.accuracy_interval)),
            empty,
            Cell(number(own.score.auroc), interval(own.score.auroc_interval)),
            *[empty] * 3,
            estimate(own.calibration_error),
        )

    return Table(
        caption=f"{found.task}: {counted(found.questions, 'hard question')}, {INTERVALS}. Copied errors: how often the "
        "students repeat the overseer where it is wrong",
        columns=(
            Column("Loss"),
            Column("Accuracy", True),
            Column(f"{MINUS} xent", True),
            Column("AUROC", True),
            Column("PGR", True),
            Column("PGR (AUROC)", True),
            Column("Copied errors", True),
            Column("Calibration error", True),
        ),
        rows=(*map(row, found.losses), *map(beside, found.references)),
    )


def forest(found: TaskLosses, metric: Metric, key: str) -> str:
    """Every loss between overseer and ceiling."""
    of = {own.name: own.score for own in found.references} | {own.loss: own.score for own in found.losses}
    estimates = [
        (REFERENCES.get(name) or Series(name, "student", "circle"), getattr(score, f"{metric}_interval"))
        for name, score in of.items()
    ]
    values = {series.name: estimate.value for series, estimate in estimates}
    return intervals(key, caption(found, metric), estimates, (values[WEAK.name], values[CEILING.name]))


def caption(found: TaskLosses, metric: Metric) -> str:
    return f"{METRICS[metric]} on {found.task} by loss, with intervals"


def in_short(found: TaskLosses) -> Table:
    """What fits into a terminal."""
    return Table(
        caption=f"{found.task}: {counted(found.questions, 'hard question')}, {INTERVALS}",
        columns=(Column("Loss"), Column("Accuracy", True), Column(f"{MINUS} xent", True), Column("PGR", True)),
        rows=tuple(
            (
                Cell(own.loss),
                Cell(number(own.score.accuracy), interval(own.score.accuracy_interval)),
                difference(own.over_xent),
                Cell(recovered(own.pgr).text),
            )
            for own in found.losses
        ),
    )


def recovered(found: PGR) -> Cell:
    """A PGR with its interval, or why there is none."""
    if not found.defined:
        return Cell(MISSING, found.reason, "muted")
    return Cell(number(found.value), f"[{number(found.low)}, {number(found.high)}]")


def findings(found: TaskLosses) -> list[str]:
    """Which losses are better than cross-entropy and which are worse, where that is shown."""
    over = [(own.loss, own.over_xent) for own in found.losses if isinstance(own.over_xent, Interval)]
    kinds = {
        f"Better than cross-entropy on {found.task}": [(loss, gain) for loss, gain in over if gain.low > 0],
        f"Worse than cross-entropy on {found.task}": [(loss, gain) for loss, gain in over if gain.high < 0],
    }
    return [
        f"{kind}: " + ", ".join(f"{loss} ({signed(gain.value)} {interval(gain)})" for loss, gain in those)
        for kind, those in kinds.items()
        if those
    ]


def in_a_line(found: LossStudy) -> str:
    """For the overview: how often a loss is better than cross-entropy."""
    over = [
        own.over_xent
        for task in found.tasks
        for own in task.losses
        if own.loss != "xent" and isinstance(own.over_xent, Interval)
    ]
    return f"losses better than cross-entropy: {sum(gain.low > 0 for gain in over)} of {len(over)}"
