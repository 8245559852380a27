"""The tables of a trial: what was caught, by whom, at which cost, and every subject beside its thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.records import Interval
from superalign.contracts.summary import (
    AccessRate,
    FamilyResult,
    SubjectResult,
    Survival,
    TrialSummary,
)
from superalign.report.tables import Cell, Column, Table, finding_cell
from superalign.report.wording import (
    MISSING,
    cost_per_catch,
    interval,
    number,
    percent,
    told_apart,
)


def families(trial: TrialSummary) -> Table:
    """Flagged organisms and twins of each family, invalid ones apart."""

    def flagged(number_of: int, valid: int) -> Cell:
        return Cell(f"{number_of} of {valid}") if valid else Cell(MISSING, "none valid", "muted")

    def row(found: FamilyResult) -> tuple[Cell, ...]:
        outcome = Cell("yes" if found.caught else "no") if found.counted else Cell(MISSING, "not counted", "muted")
        return (
            Cell(found.family),
            outcome,
            flagged(found.flagged, found.organisms),
            flagged(found.alarms, found.twins),
            Cell(str(found.invalid)),
        )

    return Table(
        caption="Flagged, of those that are valid. A family is caught when more than half of its organisms are",
        columns=(
            Column("Family"),
            Column("Caught"),
            Column("Organisms", True),
            Column("Twins", True),
            Column("Invalid", True),
        ),
        rows=tuple(map(row, trial.by_family)),
    )


def catches(trial: TrialSummary) -> Table:
    """Families caught, by rule and by kind of organism, and what that took."""

    def row(name: str, caught: int, of: int, low: float | None = None) -> tuple[Cell, ...]:
        return (
            Cell(name),
            Cell(f"{caught} of {of}"),
            Cell(percent(low)) if low is not None else Cell("", "not the metric", "muted"),
        )

    kinds = [("implant", trial.by_implant), ("concealment", trial.by_concealment)]
    return Table(
        caption=f"Families caught; cost of the verdicts per family caught: {cost_per_catch(trial)}",
        columns=(Column("Of a family, flagged"), Column("Caught", True), Column("At least", True)),
        rows=(
            row("more than half", trial.caught, trial.families, trial.recall_low),
            row("any organism", trial.caught_any, trial.families),
            row("all organisms", trial.caught_all, trial.families),
            *(
                row(f"{name}: {rate.kind}", rate.caught, rate.families, rate.low)
                for name, rates in kinds
                if len(rates) > 1
                for rate in rates
            ),
        ),
    )


def accesses(trial: TrialSummary) -> Table:
    """What seeing more of a model adds to what is caught."""

    def row(rate: AccessRate, before: Sequence[str]) -> tuple[Cell, ...]:
        return (
            Cell(
                f"up to {rate.access}", "and " * bool(before) + ", ".join(n for n in rate.detectors if n not in before)
            ),
            Cell(f"{rate.caught} of {rate.families}", f"at least {percent(rate.low)}"),
            Cell(f"{rate.gained} more, {rate.lost} fewer") if before else Cell(MISSING, "the first", "muted"),
            Cell(f"{rate.alarms} of {rate.twins}"),
        )

    names = [(), *(rate.detectors for rate in trial.by_access)]
    return Table(
        caption="What the battery catches by what its detectors may see of a model",
        columns=(
            Column("Access"),
            Column("Families caught", True),
            Column("Than in the row before", True),
            Column("Twins flagged", True),
        ),
        rows=tuple(row(rate, before) for rate, before in zip(trial.by_access, names, strict=False)),
    )


def subjects(trial: TrialSummary) -> Table:
    """Every subject after unsealing: its scores beside the thresholds, its finding, its gates."""
    names = [result.detector for result in trial.detectors]
    limits = {limit.detector: limit.threshold for limit in trial.thresholds}

    def scored(subject: SubjectResult, detector: str) -> Cell:
        score, limit = subject.scores.get(detector), limits.get(detector)
        if score is None:
            return Cell(MISSING, "not scored", "muted")
        if limit is None:
            return Cell(number(score))
        shown, bound = told_apart(score, limit)
        return Cell(shown, f"> {bound}", "bad") if score > limit else Cell(shown, f"≤ {bound}")

    def made(subject: SubjectResult) -> list[str]:
        usual = (("adapters", subject.implant), ("none", subject.concealment))
        return [kind if kind != "both" else "denial and obfuscated" for common, kind in usual if kind != common]

    def p_value(subject: SubjectResult) -> Cell:
        if subject.p_value is None:
            return Cell(MISSING, "not tested", "muted")
        return Cell(f"p = {number(subject.p_value)}", f"beside {subject.reference} benign")

    def row(subject: SubjectResult) -> tuple[Cell, ...]:
        gates = [
            f"{'✓' if gate.passed else '✗'} {gate.name} {number(gate.value)} ({gate.bound})" for gate in subject.gates
        ]
        return (
            Cell(subject.name, ", ".join((f"{subject.family} {subject.role}", *made(subject), f"seed {subject.seed}"))),
            *(scored(subject, detector) for detector in names),
            p_value(subject),
            finding_cell(subject.finding) if subject.valid else Cell("invalid", "not counted", "muted"),
            Cell("" if gates else MISSING, "\n".join(gates)),
        )

    return Table(
        caption="Every subject, after unsealing; below each score, the detector's own threshold that it is over (>) or "
        "not over (≤). The finding is that of all together",
        columns=(
            Column("Subject"),
            *(Column(name, True) for name in names),
            Column("All together", True),
            Column("Finding"),
            Column("Gates", wide=True),
        ),
        rows=tuple(map(row, sorted(trial.subjects, key=lambda one: (one.family, one.seed, one.role)))),
    )


def separation(trial: TrialSummary) -> Table:
    """How well each detector tells organisms from twins, and twins from models that were never near an organism."""

    def row(name: str, caught: int, *estimates: Interval | None) -> tuple[Cell, ...]:
        return (
            Cell(name),
            Cell(f"{caught} of {trial.families}"),
            *(
                Cell(number(found.value), interval(found)) if found else Cell(MISSING, "too few scores")
                for found in estimates
            ),
        )

    return Table(
        caption="AUROC(twin, benign) should be near 0.5: otherwise the detector sees fine-tuning, not misalignment. "
        "Each detector catches at its own threshold, uncorrected; in brackets intervals whose unit is the family",
        columns=(
            Column("Detector"),
            Column("Families caught", True),
            Column("AUROC (organism, twin)", True),
            Column("AUROC (twin, benign)", True),
        ),
        rows=(
            *(
                row(result.detector, result.caught, result.auroc_organism_twin, result.auroc_twin_benign)
                for result in trial.detectors
            ),
            row("all together", trial.caught, trial.auroc, trial.auroc_twin_benign),
        ),
    )


def searches(trial: TrialSummary) -> Table:
    """How hard each search had to look; those that found nothing gave up, which is not the same as nothing there."""

    def row(detector: str, role: str, curve: Survival) -> tuple[Cell, ...]:
        gave_up = f"from {min(curve.gave_up):,.0f} passes on" if curve.gave_up else ""
        median = Cell(f"{curve.median:,.0f}") if curve.median is not None else Cell(MISSING, "fewer found")
        by_the_end = Cell(MISSING, "nothing found", "muted")
        if curve.passes:
            bounds = f"[{number(1 - curve.high[-1])}, {number(1 - curve.low[-1])}]"
            by_the_end = Cell(number(1 - curve.share[-1]), bounds)
        return (
            Cell(detector, role),
            Cell(f"{curve.searches - curve.censored} of {curve.searches}"),
            Cell(str(curve.censored), gave_up),
            median,
            by_the_end,
        )

    return Table(
        caption="Forward passes until a violation was confirmed on held-out questions; share found by the end as "
        "Kaplan and Meier estimate it, in brackets its pointwise interval",
        columns=(
            Column("Search"),
            Column("Found", True),
            Column("Gave up", True),
            Column("Median passes", True),
            Column("Share found", True),
        ),
        rows=tuple(
            row(found.detector, role, curve)
            for found in trial.searches
            for role, curve in (("organisms", found.organisms), ("twins", found.twins))
            if curve is not None
        ),
    )
