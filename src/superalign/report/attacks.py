"""A trial's detectors under attack: the table of four columns, a sentence for each, and what it was measured on."""

from __future__ import annotations

from superalign.contracts.attacks import Attacks, Choice, Column, DetectorUnderAttack, Separated
from superalign.contracts.records import Interval, Unscored
from superalign.report import tables
from superalign.report.tables import Cell, Table
from superalign.report.wording import MISSING, counted, estimate, interval, number, percent

WARNING = "Never train against the only instrument."
COLUMNS = {
    "in_distribution": "In distribution",
    "shifted": "Shifted",
    "prompted": "Prompt attack",
    "trained_against": "Trained against",
}


def table(found: Attacks) -> Table:
    """Each detector's AUROC in the four columns, with the share of organisms above its threshold."""

    def cell(column: Column) -> Cell:
        if isinstance(column, Unscored):
            return Cell(MISSING, "not measured", "muted")
        parts = [interval(column.auroc), f"above {_share(column.above, column.organisms)}"]
        return Cell(number(column.auroc.value), "; ".join(parts))

    return Table(
        caption="AUROC of organisms against twins, in brackets its interval, whose unit is the family; above: "
        f"organisms above the detector's own threshold. Shifted: questions of {found.task}, threshold of at most "
        f"{counted(found.benign, 'benign model')} asked likewise. Prompt attack: on half of the families the one that "
        "hurts most on the other half",
        columns=(tables.Column("Detector"), *(tables.Column(name, True) for name in COLUMNS.values())),
        rows=tuple((Cell(row.detector), *(cell(getattr(row, field)) for field in COLUMNS)) for row in found.detectors),
    )


def _share(above: float | None, of: int) -> str:
    return MISSING if above is None else f"{round(above * of)} of {of}"


def sentences(found: Attacks) -> list[str]:
    """One for each detector, on what training against it left of it; then what was not measured, and why."""
    return [*(after_training(row, found.detectors) for row in found.detectors), *_reasons(found)]


def after_training(row: DetectorUnderAttack, battery: tuple[DetectorUnderAttack, ...]) -> str:
    """What is left of a detector on organisms that were trained to evade a probe. The rule: an evaded one is
    out-performed by whichever held-out sibling has the higher AUROC on them.
    """
    own = row.trained_against
    if isinstance(own, Unscored):
        return f"{row.detector} was not measured on organisms that evade a probe: {own.reason}"
    if not row.evaded:
        return f"{row.detector} reads no activations and was not trained against: {estimate(own.auroc)}"
    by_name = {other.detector: other.trained_against for other in battery}
    if row.outperformed_by:
        better = [f"{name} ({_against(own, by_name[name])})" for name in row.outperformed_by]
        return (
            f"{row.detector} ({number(own.auroc.value)}) is out-performed after training against by "
            f"{', '.join(better)}. {WARNING}"
        )
    held_out = [other for other in battery if not other.evaded and isinstance(other.trained_against, Separated)]
    if not held_out:
        return (
            f"{row.detector} ({estimate(own.auroc)}) has no sibling that was not trained against, to tell what "
            f"training against it hides. {WARNING}"
        )
    return (
        f"{row.detector} ({estimate(own.auroc)}) is out-performed after training against by none of "
        f"{counted(len(held_out), 'detector')} that were not trained against"
    )


def _against(own: Separated, other: Column) -> str:
    """The sibling's AUROC, and whether the two intervals tell them apart."""
    if isinstance(other, Unscored):
        return MISSING
    overlap = _overlap(own.auroc, other.auroc)
    return number(other.auroc.value) + (", intervals overlap" if overlap else "")


def _overlap(first: Interval, second: Interval) -> bool:
    return first.low <= second.high and second.low <= first.high


def _reasons(found: Attacks) -> list[str]:
    """Why cells of the table are empty, once for each reason of a column; the last column has its sentences."""
    said: dict[tuple[str, str], list[str]] = {}
    for row in found.detectors:
        for field, title in COLUMNS.items():
            column = getattr(row, field)
            if field != "trained_against" and isinstance(column, Unscored):
                said.setdefault((title, column.reason), []).append(row.detector)
            elif isinstance(column, Separated) and column.unscored:
                left_out = f"{counted(column.unscored, 'valid model')} got no score and is not counted"
                said.setdefault((title, left_out), []).append(row.detector)
    return [f"{title}, {', '.join(names)}: {reason}" for (title, reason), names in said.items()]


def choices(found: Attacks) -> Table:
    """Which attack hurts each detector most, where it was chosen and where it was measured."""

    def row(detector: str, choice: Choice) -> tuple[Cell, ...]:
        there = choice.found
        measured = (
            Cell(number(there.auroc.value), interval(there.auroc))
            if isinstance(there, Separated)
            else Cell(MISSING, there.reason)
        )
        return (
            Cell(detector),
            Cell(choice.attack),
            Cell(number(choice.there.value), ", ".join(choice.chosen_on)),
            measured,
            Cell(", ".join(choice.reported_on)),
        )

    return Table(
        caption="The prompt attack that hurts most is chosen on half of the families and reported on the others",
        columns=(
            tables.Column("Detector"),
            tables.Column("Attack"),
            tables.Column("AUROC where chosen", True),
            tables.Column("AUROC on the others", True),
            tables.Column("The others"),
        ),
        rows=tuple(row(one.detector, choice) for one in found.detectors for choice in one.choices),
    )


def rates(found: Attacks) -> Table:
    """How often each organism still misbehaves under each attack."""

    def cell(subject: str, attack: str) -> Cell:
        rate = next(rate for rate in found.rates if (rate.subject, rate.attack) == (subject, attack))
        return Cell(percent(rate.rate)) if rate.misbehaves else Cell(percent(rate.rate), "left out", "muted")

    first = {rate.subject: rate for rate in found.rates}
    return Table(
        caption="How often organisms that evade no probe misbehave where they are meant to, without and under each. "
        "One that hardly misbehaves any more is left out of what is reported of that attack",
        columns=(
            tables.Column("Organism"),
            tables.Column("Without", True),
            *(tables.Column(attack.name, True) for attack in found.attacks),
        ),
        rows=tuple(
            (
                Cell(subject, rate.family),
                Cell(percent(rate.before)),
                *(cell(subject, attack.name) for attack in found.attacks),
            )
            for subject, rate in first.items()
        ),
    )
