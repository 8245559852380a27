"""What the review queue, the researcher and the pages that show them agree on."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from superalign.contracts.records import Interval, Record, Sentence, Unscored

VerdictOnItem = Literal["approve", "reject", "ask"]
ItemState = Literal["pending", "approved", "rejected", "asked", "expired"]


class MonitorOpinion(Record):
    """What one monitor says of an item. Its reasons are untrusted text: it has read what an agent wrote."""

    monitor: str
    suspicion: float | Unscored = Field(description="From 0 to 1.")
    reasons: tuple[str, ...] = ()


class ReviewItem(Record):
    """One thing that waits for a person. Everything in it but `number`, times and `state` may be an agent's words."""

    number: int = Field(ge=0)
    kind: str
    title: str
    body: str = ""
    diff: str = Field("", description="Unified text.")
    opinions: tuple[MonitorOpinion, ...] = ()
    cost: str = Field("", description="What it takes if it is approved, in words.")
    asked_at: float = Field(description="Unix seconds.")
    deadline: float = Field(description="Unix seconds. What nobody has approved by then is not approved.")
    state: ItemState = "pending"
    reason: str = Field("", description="The reviewer's, once it is decided; or the rule's, where nobody did in time.")
    reviewer: str = ""
    minutes: float = Field(0.0, ge=0, description="Of the reviewer, from first opening it to the decision, as charged.")


class ReviewDecision(Record):
    """What a person decided. To ask sends the item back with a question: it is not approved."""

    number: int = Field(ge=0)
    verdict: VerdictOnItem
    reason: Sentence = Field(max_length=4_000)
    reviewer: str


@runtime_checkable
class ReviewQueue(Protocol):
    """Where items wait for people. Several threads and processes call it."""

    @property
    def minutes_left(self) -> float:
        """What is left of the reviewers' budget."""
        ...

    def pending(self) -> list[ReviewItem]:
        """What waits and has not expired, the most suspicious first."""
        ...

    def get(self, number: int) -> ReviewItem:
        """The item, decided or not. InputError when there is none."""
        ...

    def open(self, number: int, reviewer: str) -> ReviewItem:
        """The item, which the reviewer has begun to read if it is pending. InputError when there is none."""
        ...

    def decide(self, decision: ReviewDecision) -> ReviewItem:
        """The item as decided. InputError when it is not pending any more, or the budget is spent."""
        ...


class ResearchOutcome(Record):
    """One proposal of the researcher and what came of it."""

    number: int = Field(ge=0)
    parents: tuple[int, ...] = Field((), description="Numbers of the proposals it was made from.")
    title: str = Field(description="Its hypothesis, or the beginning of it.")
    value: float | Unscored = Field(description="In the problem's metric.")
    interval: Interval | None = None
    accepted: bool = Field(False, description="It held in the sealed evaluation, and a person approved it.")
    item: int | None = Field(None, description="Its number in the review queue, if it is or was there.")


class ResearchProgress(Record):
    """`research.json` in a run's folder: how far the researcher has come. Written anew, whole, after every outcome."""

    format: Literal[1] = 1
    problem: str
    metric: str = ""
    larger_is_better: bool = True
    proposer: str
    state: Literal["running", "waiting for review", "paused", "done", "stopped", "failed"]
    says: str = Field("", description="Why it is in this state, where there is more to say.")
    best: float | None = None
    baseline: float | None = None
    random_best: float | None = Field(None, description="The best that random search found with the same budget.")
    budget_used: float = Field(0.0, ge=0)
    budget_total: float = Field(0.0, ge=0)
    budget_unit: str = "proposals"
    outcomes: tuple[ResearchOutcome, ...] = ()
