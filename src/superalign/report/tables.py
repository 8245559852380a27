"""The tables, as rows of cells. The page and the terminal draw the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from superalign.contracts.capability import HeldLimits
from superalign.contracts.generalization import GeneralizationSummary, Score
from superalign.contracts.records import Cost, Finding
from superalign.contracts.summary import (
    DetectorResult,
    Summary,
    Threshold,
)
from superalign.report.wording import (
    MISSING,
    SEES,
    SIGNALS,
    counted,
    duration,
    interval,
    number,
    percent,
    told_apart,
)

Tone = Literal["", "good", "bad", "open", "muted"]
TONES: dict[str, Tone] = {
    "clear": "good",
    "proceed": "good",
    "flagged": "bad",
    "pause": "bad",
    "undetermined": "open",
    "supported": "good",
    "not supported": "bad",
    "not measured": "open",
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


def finding_cell(finding: Finding) -> Cell:
    return Cell(finding.value, tone=TONES[finding.value])


def scores(results: GeneralizationSummary) -> Table:
    """Every model of the comparison, with its intervals."""

    def row(name: str, note: str, score: Score) -> tuple[Cell, ...]:
        return (
            Cell(name, note),
            Cell(number(score.accuracy), interval(score.accuracy_interval)),
            Cell(number(score.auroc), interval(score.auroc_interval)),
        )

    signal = SIGNALS[results.signal][1]
    return Table(
        caption=f"On {counted(results.test_questions, 'held-out question')}, {counted(results.seeds, 'seed')}; "
        f"in brackets {percent(results.student.accuracy_interval.level)} intervals",
        columns=(Column("Model"), Column("Accuracy", True), Column("AUROC", True)),
        rows=(
            row("overseer (weak)", f"gave the {signal}", results.weak),
            row("student", f"trained on those {signal}", results.student),
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
            finding_cell(result.verdict),
            Cell(result.reason),
        )

    return Table(
        caption="A higher score is more suspicious; each verdict is at the detector's own threshold, not corrected for "
        "the number of detectors",
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


def capability(held: HeldLimits) -> Table:
    """Every limit of the criteria, with what the record says of it."""
    words: dict[bool | None, tuple[str, Tone]] = {
        True: ("holds", "good"),
        False: ("exceeded", "bad"),
        None: ("not shown", "open"),
    }
    rows = []
    for limit in held.limits:
        holds, tone = words[limit.holds]
        rows.append((Cell(limit.environment), Cell(f"{limit.at_most:g}"), Cell(holds, tone=tone), Cell(limit.says)))
    source = f"The record with sha256 {held.record}." if held.record else "No record was read."
    return Table(
        f"{source} A limit holds only where the whole interval of the score is at or below it.",
        (Column("Environment"), Column("At most", numeric=True), Column("Limit"), Column("Score", wide=True)),
        tuple(rows),
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

    found = summary.oversight
    oversight = [row("oversee", found.cost, found.overseer)] if found else []
    if found and found.spent != Cost():
        oversight.append(row("of this, the signal", found.spent, SIGNALS[found.signal][1]))
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
            *([row("stress-test", summary.trial.verdicts_cost, "verdicts")] if summary.trial else []),
            row("whole run", summary.cost),
        ),
    )
