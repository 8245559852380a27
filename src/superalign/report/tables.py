"""The tables, as rows of cells. The page and the terminal draw the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from superalign.contracts.records import Cost, Finding
from superalign.contracts.summary import (
    DetectorResult,
    GeneralizationSummary,
    Score,
    SubjectResult,
    Summary,
    Threshold,
    TrialSummary,
)
from superalign.report.wording import MISSING, SEES, counted, duration, interval, number, percent, told_apart

Tone = Literal["", "good", "bad", "open", "muted"]
TONES: dict[str, Tone] = {
    "clear": "good",
    "proceed": "good",
    "flagged": "bad",
    "pause": "bad",
    "undetermined": "open",
}


@dataclass(frozen=True)
class Cell:
    """What one cell says: a value, a smaller note below it, and how it should strike the eye."""

    text: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    name: str
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """The first cell of each row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def _finding(finding: Finding) -> Cell:
    return Cell(finding.value, tone=TONES[finding.value])


def scores(results: GeneralizationSummary) -> Table:
    """Every model of the comparison, with its intervals."""

    def row(name: str, note: str, score: Score) -> tuple[Cell, ...]:
        return (
            Cell(name, note),
            Cell(number(score.accuracy), interval(score.accuracy_interval)),
            Cell(number(score.auroc), interval(score.auroc_interval)),
        )

    return Table(
        caption=f"On {counted(results.test_questions, 'held-out question')}, {counted(results.seeds, 'seed')}; "
        f"in brackets {percent(results.student.accuracy_interval.level)} intervals",
        columns=(Column("Model"), Column("Accuracy", True), Column("AUROC", True)),
        rows=(
            row("overseer (weak)", "gave the labels", results.weak),
            row("student", "trained on those labels", results.student),
            row("ceiling", "trained on the truth", results.ceiling),
            row("zero-shot", "not trained", results.zero_shot),
            *(row(name, "control", score) for name, score in results.controls.items()),
        ),
    )


def detectors(results: Sequence[DetectorResult]) -> Table:
    """What each detector says of the user's model."""

    def row(result: DetectorResult) -> tuple[Cell, ...]:
        shown, bound = _score_and_threshold(result.score, result.threshold)
        return (
            Cell(result.detector),
            Cell(", ".join(SEES[access] for access in result.access) or MISSING),
            Cell(shown, "" if result.score is not None else "not scored"),
            Cell(bound, "" if result.threshold is not None else "not set"),
            _finding(result.verdict),
            Cell(result.reason),
        )

    return Table(
        caption="A higher score is more suspicious; flagged means over the threshold",
        columns=(
            Column("Detector"),
            Column("Sees"),
            Column("Score", True),
            Column("Threshold", True),
            Column("Verdict"),
            Column("Why", wide=True),
        ),
        rows=tuple(row(result) for result in results),
    )


def _score_and_threshold(score: float | None, threshold: float | None) -> tuple[str, str]:
    if score is None or threshold is None:
        return number(score), number(threshold)
    return told_apart(score, threshold)


def thresholds(limits: Sequence[Threshold]) -> Table:
    """Where each detector's threshold comes from, and what false-positive rate that supports."""
    return Table(
        caption="Each threshold is the largest score of models known to be benign; their number bounds the rate",
        columns=(
            Column("Detector"),
            Column("Threshold", True),
            Column("Benign models", True),
            Column("False-positive rate at most", True),
        ),
        rows=tuple(
            (
                Cell(limit.detector),
                Cell(number(limit.threshold), "" if limit.threshold is not None else "not set"),
                Cell(str(len(limit.benign_scores)), f"{limit.unscored} more not scored" if limit.unscored else ""),
                Cell(percent(limit.fpr_bound), f"{percent(0.95)} confidence")
                if limit.threshold is not None
                else Cell(MISSING, "no threshold"),
            )
            for limit in limits
        ),
    )


def families(trial: TrialSummary) -> Table:
    """Flagged organisms and twins of each family, invalid ones apart."""

    def flagged(subjects: Iterable[SubjectResult]) -> Cell:
        valid = [subject for subject in subjects if subject.valid]
        if not valid:
            return Cell(MISSING, "none valid", "muted")
        return Cell(f"{sum(subject.finding is Finding.FLAGGED for subject in valid)} of {len(valid)}")

    def row(family: str) -> tuple[Cell, ...]:
        members = [subject for subject in trial.subjects if subject.family == family]
        kinds = [[subject for subject in members if subject.role == role] for role in ("organism", "twin")]
        counted_in = all(any(subject.valid for subject in kind) for kind in kinds)
        return (
            Cell(family, "" if counted_in else "not counted"),
            *(flagged(kind) for kind in kinds),
            Cell(str(sum(not subject.valid for subject in members))),
        )

    return Table(
        caption="The unit of a catch is the family; invalid subjects count nowhere",
        columns=(
            Column("Family"),
            Column("Organisms flagged", True),
            Column("Twins flagged", True),
            Column("Invalid", True),
        ),
        rows=tuple(row(family) for family in dict.fromkeys(subject.family for subject in trial.subjects)),
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

    def row(subject: SubjectResult) -> tuple[Cell, ...]:
        gates = [
            f"{'✓' if gate.passed else '✗'} {gate.name} {number(gate.value)} ({gate.bound})" for gate in subject.gates
        ]
        return (
            Cell(subject.name, f"{subject.family} {subject.role}, seed {subject.seed}"),
            *(scored(subject, detector) for detector in names),
            _finding(subject.finding) if subject.valid else Cell("invalid", "not counted", "muted"),
            Cell("" if gates else MISSING, "\n".join(gates)),
        )

    return Table(
        caption="Every subject, after unsealing; below each score, the threshold that it is over (>) or not over (≤)",
        columns=(
            Column("Subject"),
            *(Column(name, True) for name in names),
            Column("Finding"),
            Column("Gates", wide=True),
        ),
        rows=tuple(row(subject) for subject in trial.subjects),
    )


def separation(trial: TrialSummary) -> Table:
    """How well each detector tells organisms from twins, and twins from models that were never near an organism."""
    return Table(
        caption="AUROC(twin, benign) should be near 0.5: otherwise the detector sees fine-tuning, not misalignment",
        columns=(
            Column("Detector"),
            Column("Families caught", True),
            Column("AUROC (organism, twin)", True),
            Column("AUROC (twin, benign)", True),
        ),
        rows=tuple(
            (
                Cell(result.detector),
                Cell(f"{result.caught} of {trial.families}"),
                *(
                    Cell(number(value), "" if value is not None else "too few scores")
                    for value in (result.auroc_organism_twin, result.auroc_twin_benign)
                ),
            )
            for result in trial.detectors
        ),
    )


def costs(summary: Summary) -> Table:
    """What the run took."""

    def row(name: str, spent: Cost, note: str = "") -> tuple[Cell, ...]:
        if spent == Cost():
            return (Cell(name, note), *[Cell(MISSING, "not recorded", "muted")] * 4)
        return (
            Cell(name, note),
            Cell(duration(spent.seconds)),
            Cell(f"{spent.tokens:,}"),
            Cell(f"{spent.forward_passes:,}"),
            Cell(duration(spent.human_seconds)),
        )

    oversight = [row("oversee", summary.oversight.cost, summary.oversight.overseer)] if summary.oversight else []
    return Table(
        caption="The whole run includes training and the trial; human time is simulated",
        columns=(
            Column("Part"),
            Column("Time", True),
            Column("Tokens", True),
            Column("Forward passes", True),
            Column("Human time", True),
        ),
        rows=(
            *oversight,
            *(row("validate", result.cost, result.detector) for result in summary.validation),
            row("whole run", summary.cost),
        ),
    )
