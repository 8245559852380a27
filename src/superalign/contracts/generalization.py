"""What generalization found: how well models answer, and how much of the gap the student recovered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Interval, Record
from superalign.contracts.signals import SignalName


class Score(Record):
    """How well one model answers the hard questions. The interval is a bootstrap over groups (and seeds)."""

    accuracy: float
    auroc: float
    accuracy_interval: Interval
    auroc_interval: Interval


class PGR(Record):
    """(student - weak) / (ceiling - weak). Undefined, with the reason, when the gap's interval includes 0."""

    value: float | None
    low: float | None
    high: float | None
    defined: bool
    reason: str
    metric: Literal["accuracy", "auroc"]
    gap: Interval = Field(description="ceiling - weak")
    seeds: int


class LevelScore(Record):
    """One point of a curve over difficulty."""

    level: int
    label: str
    weak: float
    student: float
    ceiling: float
    zero_shot: float


class GeneralizationSummary(Record):
    """What the student made of the weak signal."""

    signal: SignalName = Field("labels", description="What student, ceiling and controls were trained on.")
    weak: Score
    student: Score
    ceiling: Score
    zero_shot: Score
    controls: dict[str, Score] = Field(description="noise, self-distillation, random-start, majority")
    pgr: PGR = Field(description="On accuracy.")
    pgr_auroc: PGR
    agreement_on_weak_wrong: Interval | None = Field(
        description="How often the student repeats the overseer's errors; 0.5 or less says that it does not copy them."
    )
    levels: tuple[LevelScore, ...] = Field(description="AUROC by difficulty level.")
    seeds: int
    test_questions: int
