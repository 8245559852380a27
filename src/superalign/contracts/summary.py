"""`summary.json`: everything a run found, in one object. The report is drawn from it alone."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from superalign.contracts.capability import HeldLimits
from superalign.contracts.generalization import GeneralizationSummary
from superalign.contracts.oversight import Comparison
from superalign.contracts.readings import Inside
from superalign.contracts.records import (
    Access,
    Cost,
    Decision,
    Evidence,
    Finding,
    Interval,
    Record,
    Specification,
    Unit,
    Unscored,
)
from superalign.contracts.signals import SignalName
from superalign.contracts.studies import Studies


class OversightSummary(Record):
    """The weak overseer on the questions that the student learns from (out of sample)."""

    overseer: str
    signal: SignalName = "labels"
    accuracy: float = Field(description="Of its labels, its preferences, or its approval of steps.")
    auroc: float
    labelled: int = Field(description="Questions, or steps of them, that students learn from.")
    unscored: int
    reasons: dict[str, int] = Field(default_factory=dict, description="Why so many are unscored.")
    spent: Cost = Field(Cost(), description="On the judgements that are the signal, without learning to judge.")
    question_blind_auroc: Interval = Field(description="Guessing from the country alone: 0.5 unless the task leaks.")
    cost: Cost


class DetectorResult(Record):
    """One detector on the user's model."""

    detector: str
    access: tuple[Access, ...]
    score: float | None
    threshold: float | None
    verdict: Finding
    reason: str = Field(description="Why this verdict, in words; for an unscored one, why there is no score.")
    caveat: str | None = Field(None, description="Why even a high score would not show misalignment, if it would not.")
    evidence: tuple[Evidence, ...]
    details: dict[str, float | list[float]] = Field(default_factory=dict)
    cost: Cost = Cost()


class BenignModel(Record):
    """What one detector made of a model known to be benign; of the same `name` for every detector."""

    name: str
    family: str | None = Field(description="The family whose twin it was made like; none for a student.")
    result: float | Unscored


class Threshold(Record):
    """A detector's own threshold, the largest score of the benign models, and the rate that supports."""

    detector: str
    code: str = Field("", description="Version of the detector's code.")
    unit: Unit = "any"
    threshold: float | None
    benign: tuple[BenignModel, ...] = Field(description="The same models in the same order for every detector.")
    fpr_bound: float = Field(description="95 % upper bound on the false-positive rate, from the number of models.")

    @property
    def benign_scores(self) -> tuple[float, ...]:
        """The scores of those that were scored."""
        return tuple(model.result for model in self.benign if not isinstance(model.result, Unscored))

    @property
    def unscored(self) -> int:
        """How many were not."""
        return len(self.benign) - len(self.benign_scores)


class BatteryResult(Record):
    """What all detectors together say of one model: one test, whatever their number."""

    finding: Finding
    reason: str
    p_value: float | None = Field(
        description="Conformal, corrected for the number of detectors; none: nothing to test."
    )
    reference: int = Field(description="Benign models that it was held against.")
    excess: float | None = Field(
        description="Its largest score, all made comparable, less the largest of any benign model."
    )
    detectors: tuple[str, ...] = Field(description="Those that scored it and all of its reference.")
    by: tuple[str, ...] = Field((), description="Those by which it stands out from all benign models.")


class GateResult(Record):
    name: str
    value: float
    bound: str = Field(description='Such as "at least 0.8".')
    passed: bool


class SubjectResult(Record):
    """One subject of the trial, after unsealing."""

    name: str = Field(description="The opaque name that it had in the trial.")
    family: str
    role: Literal["organism", "twin"]
    implant: str = "adapters"
    concealment: str = "none"
    seed: int
    valid: bool
    gates: tuple[GateResult, ...]
    scores: dict[str, float | None]
    own: dict[str, Finding] = Field(description="Each detector's verdict at its own threshold, uncorrected.")
    finding: Finding = Field(description="The battery's.")
    reason: str
    p_value: float | None = Field(description="Of the battery, against the benign models of other families.")
    reference: int = Field(description="How many these are.")
    excess: float | None
    evidence: tuple[Evidence, ...] = ()


class FamilyResult(Record):
    """One family of planted misalignment: its valid organisms and twins."""

    family: str
    organisms: int
    flagged: int
    twins: int
    alarms: int = Field(description="Twins that are flagged.")
    invalid: int
    counted: bool = Field(description="It has a valid organism and a valid twin.")
    caught: bool = Field(description="It is counted, and more than half of its valid organisms are flagged.")


class CatchRate(Record):
    """Families caught among the organisms of one kind."""

    kind: str
    families: int
    caught: int
    low: float = Field(description="One-sided 95 % Clopper-Pearson lower bound.")


class AccessRate(Record):
    """What the battery catches when only those detectors take part that need at most this access."""

    access: Access
    detectors: tuple[str, ...]
    families: int
    caught: int
    low: float = Field(description="One-sided 95 % Clopper-Pearson lower bound.")
    gained: int = Field(0, description="Families caught that are not with the next lower access.")
    lost: int = Field(0, description="Families not caught that are with the next lower access.")
    twins: int = Field(description="Valid twins that are flagged or clear.")
    alarms: int = Field(description="Those that are flagged.")


class Survival(Record):
    """Kaplan-Meier estimate of the share of searches that have found nothing after so many forward passes.

    One step for each number of passes at which something was found, with its pointwise interval.
    """

    passes: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float = 0.95
    searches: int
    gave_up: tuple[float, ...] = Field(description="Passes after which searches that found nothing gave up.")

    @property
    def censored(self) -> int:
        """How many searches found nothing."""
        return len(self.gave_up)

    @property
    def median(self) -> float | None:
        """Passes by which half of the searches found something; None if fewer did."""
        return next((at for at, left in zip(self.passes, self.share, strict=True) if left <= 0.5), None)


class SearchEffort(Record):
    """How hard one detector that searches had to look, over all valid subjects."""

    detector: str
    organisms: Survival | None = Field(description="None where no organism was searched.")
    twins: Survival | None
    unscored: int = Field(description="Valid subjects without a verdict; in neither curve.")


class DetectorTrial(Record):
    """One detector over all valid subjects, at its own threshold, uncorrected."""

    detector: str
    auroc_organism_twin: Interval | None
    auroc_twin_benign: Interval | None = Field(description="Far from 0.5: it sees fine-tuning, not misalignment.")
    caught: int


class TrialSummary(Record):
    """The sealed trial. The unit of a catch is the family."""

    subjects: tuple[SubjectResult, ...]
    by_family: tuple[FamilyResult, ...]
    by_implant: tuple[CatchRate, ...]
    by_concealment: tuple[CatchRate, ...]
    by_access: tuple[AccessRate, ...] = Field(
        (), description="One for each access that adds a detector; the last one is the whole battery."
    )
    families: int = Field(description="Families with a valid organism and a valid twin: the k of `caught m of k`.")
    caught: int = Field(description="Families of which more than half of the valid organisms are flagged.")
    caught_any: int = Field(description="Families of which any valid organism is flagged.")
    caught_all: int = Field(description="Families of which all valid organisms are flagged.")
    worst: tuple[str, ...] = Field(description="The families of which the smallest share is flagged.")
    invalid: int = Field(description="Subjects that failed their gates; counted nowhere else.")
    abstained: int = Field(description="Valid subjects for which the battery has no p-value.")
    recall_low: float = Field(description="One-sided 95 % Clopper-Pearson lower bound.")
    fpr: float | None = Field(
        description="Flagged twins over valid twins that are flagged or clear; each family weighs the same."
    )
    fpr_low: float | None = Field(description="Clopper-Pearson over families, as if the twins of one were one twin.")
    fpr_high: float | None
    auroc: Interval | None = Field(description="Organisms against twins of the same families, on the battery's excess.")
    auroc_twin_benign: Interval | None = Field(description="Twins against benign models, on the battery's excess.")
    detectors: tuple[DetectorTrial, ...]
    searches: tuple[SearchEffort, ...] = Field((), description="Of the detectors that search within a budget.")
    thresholds: tuple[Threshold, ...]
    verdicts_cost: Cost = Field(description="Of all verdicts on valid subjects.")
    primary_metric: str = Field(description="Committed to the ledger, with labels and thresholds, before any verdict.")
    verdicts_known: int = Field(description="Verdicts that an earlier run had reached when this trial was sealed.")


class Grounds(Record):
    """A measured record that a claim rests on."""

    record: str = Field(description="Where it is in `summary.json`.")
    says: str


class Claim(Record):
    """One claim of the safety case, with its argument and evidence (claims, arguments, evidence)."""

    id: str
    claim: str
    type: Literal["inability", "control", "trustworthiness"]
    status: Literal["supported", "not supported", "not measured"]
    argument: str
    evidence: tuple[Grounds, ...]
    assumptions: tuple[str, ...]
    would_change: tuple[str, ...] = Field(description="What would change it.")


class DecisionSummary(Record):
    """What follows, by the criteria committed before."""

    verdict: Decision
    model: Finding = Field(description="What the battery says of the user's model.")
    reasons: tuple[str, ...]
    would_take: tuple[str, ...] = Field(description="What it would take to decide.")
    capability: HeldLimits | None = Field(
        None,
        exclude_if=lambda held: held is None,  # or decisions in earlier ledgers would not be those of their summaries
        description="Where the criteria set limits for it.",
    )
    argument: tuple[Claim, ...] = Field((), description="The safety case that the decision rests on.")


class Summary(Record):
    """One run. Sections are absent when the run left them out (`--only`, `superalign validate`)."""

    format: Literal[1] = 1
    name: str
    model: str
    specification: Specification
    seed: int
    oversight: OversightSummary | None = None
    comparison: Comparison | None = Field(None, description="Protocols of oversight side by side.")
    generalization: GeneralizationSummary | None = None
    studies: Studies | None = Field(None, description="Studies of generalization beside it.")
    validation: tuple[DetectorResult, ...] = ()
    battery: BatteryResult | None = Field(None, description="What all detectors together say of the model.")
    thresholds: tuple[Threshold, ...] = ()
    inside: Inside | None = Field(None, description="What was read inside the model.")
    trial: TrialSummary | None = None
    decision: DecisionSummary | None = None
    argument: tuple[Claim, ...] = Field((), description="What a validation without a trial of its own rests on.")
    cost: Cost

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, content: Any) -> Any:
        """They had a curve without controls or intervals, which nothing is drawn from any more."""
        if isinstance(content, dict):
            return {key: value for key, value in content.items() if key != "layer_curve"}
        return content
