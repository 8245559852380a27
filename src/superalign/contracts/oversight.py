"""What a comparison of oversight protocols found: each on the same questions, with the same labels and the same judge.

All intervals resample seeds and groups together, and differences are paired by question.
"""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.records import Conversation, Cost, Interval, Record, Unscored

Estimate = Interval | Unscored


class LevelAccuracy(Record):
    """One point of a curve over difficulty."""

    level: int
    label: str
    accuracy: Estimate


class StudentScore(Record):
    """Models that learnt from labels for other questions, asked plainly with all the evidence; on the test, by the
    truth.
    """

    accuracy: Estimate
    auroc: Estimate
    over_direct: Estimate = Field(description="Accuracy less that of who learnt from direct.")
    labels: int = Field(description="That they learnt from, over all seeds.")


class Hearing(Record):
    """One question as its judge met it. Of those that came out alike, the first in the order of the test."""

    question_id: str
    evidence: tuple[str, ...] = Field(description="All that there is, of which the judge is shown some.")
    truth: bool
    probability: float = Field(description="Of yes, as the judge said.")
    transcript: Conversation

    @property
    def right(self) -> bool:
        """Whether the judge leant to the true answer."""
        return (self.probability > 0.5) == self.truth


class ProtocolResult(Record):
    """One protocol on one task, over all seeds."""

    protocol: str = Field(description="Its name, with the arguments that the plan gives it.")
    accuracy: Estimate = Field(description="Of its judgements; one of exactly 0.5 is half right.")
    auroc: Estimate = Field(description="Within seeds, each of which has a judge of its own.")
    brier: Estimate = Field(description="Mean squared error of the probabilities; 0.25 for one who always says 0.5.")
    calibration_error: Estimate = Field(description="Root mean squared, over ten bins, free of sampling noise.")
    over_direct: Estimate = Field(description="Accuracy less that of direct, where both judged.")
    over_consultancy: Estimate = Field(description="Accuracy less that of consultancy, where both judged.")
    levels: tuple[LevelAccuracy, ...]
    asd: Estimate = Field(
        description="E[u | arguing for the true answer] - E[u | arguing for the false one]; u is the judge's "
        "probability of the side that was argued. Above 0: the truth is the easier side."
    )
    incentive_gap: Estimate = Field(
        description="How much more the better side pays than the true one, mean over questions: "
        "max(u true, u false) - u true. 0 where honesty always pays."
    )
    judged: int
    unscored: int
    reasons: dict[str, int] = Field(default_factory=dict, description="Why so many are unscored.")
    cost: Cost = Field(description="Of all its judgements, without what was done only to measure.")
    per_correct: Cost | Unscored = Field(description="The same for each judgement that is right.")
    learning: Cost = Field(description="Before the first judgement, as if nothing had been learnt for other protocols.")
    student: StudentScore | None = Field(None, description="Who learnt from its labels, where any were trained.")
    hearings: tuple[Hearing, ...] = Field((), description="One that came out right and one wrong, where there are.")


class TaskComparison(Record):
    """The protocols side by side on one task."""

    task: str
    labelled: int = Field(description="Questions whose truth the protocols were given, in each seed.")
    questions: int = Field(description="On which they were measured, over all seeds.")
    question_blind_auroc: Interval = Field(
        description="Of one who was told the truth of other questions and reads their wording alone: 0.5 unless it "
        "tells."
    )
    expert_accuracy: Estimate = Field(description="Of what the expert itself believes, having read all the evidence.")
    expert_auroc: Estimate
    ceiling: StudentScore | None = Field(None, description="Who learnt from the truth about the same questions.")
    protocols: tuple[ProtocolResult, ...]


class Comparison(Record):
    """All of it."""

    judge: str = Field(description="Who judged, in every protocol that has a judge.")
    expert: str = Field(description="Who argued.")
    seeds: int
    tasks: tuple[TaskComparison, ...]
