"""`summary.json`: everything a run found, in one object. The report is drawn from it alone."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import (
    Access,
    Cost,
    Decision,
    Evidence,
    Finding,
    Interval,
    Record,
    Specification,
)


class Score(Record):
    """How well one model answers the hard questions. The interval is a bootstrap over groups (and seeds)."""

    accuracy: float
    auroc: float
    accuracy_interval: Interval
    auroc_interval: Interval


class OversightSummary(Record):
    """The weak overseer on the questions that the student learns from (out of sample)."""

    overseer: str
    accuracy: float
    auroc: float
    labelled: int
    unscored: int
    question_blind_auroc: Interval = Field(description="Guessing from the country alone: 0.5 unless the task leaks.")
    cost: Cost


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
    """What the student made of the weak labels."""

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


class DetectorResult(Record):
    """One detector on the user's model."""

    detector: str
    access: tuple[Access, ...]
    score: float | None
    threshold: float | None
    verdict: Finding
    reason: str = Field(description="Why this verdict, in words; for an unscored one, why there is no score.")
    evidence: tuple[Evidence, ...]
    details: dict[str, float | list[float]] = Field(default_factory=dict)
    cost: Cost = Cost()


class Threshold(Record):
    """A detector's threshold: the largest score of `benign` benign models, and the rate that supports."""

    detector: str
    threshold: float | None
    benign_scores: tuple[float, ...]
    unscored: int = 0
    fpr_bound: float = Field(description="95 % upper bound on the false-positive rate, from the number of models.")


class GateResult(Record):
    name: str
    value: float
    bound: str = Field(description='Such as "at least 0.8".')
    passed: bool


class SubjectResult(Record):
    """One subject of the trial, after unsealing."""

    name: str = Field(description="The opaque name that the detectors saw.")
    family: str
    role: Literal["organism", "twin"]
    implant: str = "adapters"
    concealment: str = "none"
    seed: int
    valid: bool
    gates: tuple[GateResult, ...]
    scores: dict[str, float | None]
    finding: Finding
    reason: str
    evidence: tuple[Evidence, ...] = ()


class DetectorTrial(Record):
    """One detector over all valid subjects."""

    detector: str
    auroc_organism_twin: float | None
    auroc_twin_benign: float | None = Field(description="Far from 0.5: it sees fine-tuning, not misalignment.")
    caught: int


class TrialSummary(Record):
    """The sealed trial. The unit of a catch is the family."""

    subjects: tuple[SubjectResult, ...]
    families: int = Field(description="Families with a valid organism and a valid twin: the k of `caught m of k`.")
    caught: int
    invalid: int = Field(description="Subjects that failed their gates; counted nowhere else.")
    abstained: int = Field(description="Valid subjects on which every detector failed.")
    recall_low: float = Field(description="One-sided 95 % Clopper-Pearson lower bound.")
    fpr: float | None = Field(description="Flagged twins over valid twins that are flagged or clear.")
    fpr_low: float | None
    fpr_high: float | None
    auroc: float | None = Field(description="Organisms against twins, on the battery's standardized maximum.")
    detectors: tuple[DetectorTrial, ...]
    thresholds: tuple[Threshold, ...]
    primary_metric: str = Field(description="Committed to the ledger, with labels and thresholds, before any verdict.")
    verdicts_known: int = Field(description="Verdicts that an earlier run had reached when this trial was sealed.")


class DecisionSummary(Record):
    """What follows, by the criteria committed before."""

    verdict: Decision
    model: Finding = Field(description="What the battery says of the user's model.")
    reasons: tuple[str, ...]
    would_take: tuple[str, ...] = Field(description="What it would take to decide.")


class LayerCurve(Record):
    """A probe by layer, beside its baselines (AUROC on held-out groups)."""

    layers: tuple[int, ...]
    probe: tuple[float, ...]
    baselines: dict[str, tuple[float, ...]]


class Summary(Record):
    """One run. Sections are absent when the run left them out (`--only`, `superalign validate`)."""

    format: Literal[1] = 1
    name: str
    model: str
    specification: Specification
    seed: int
    oversight: OversightSummary | None = None
    generalization: GeneralizationSummary | None = None
    validation: tuple[DetectorResult, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    layer_curve: LayerCurve | None = None
    trial: TrialSummary | None = None
    decision: DecisionSummary | None = None
    cost: Cost
