"""The records that parts exchange. All are frozen, refuse unknown keys, and round-trip through JSON."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Base of every record: immutable, closed, no NaN or infinity anywhere in its JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Access(StrEnum):
    """What a detector needs to see of a subject, from least to most."""

    BLACK_BOX = "black-box"
    LOGPROBS = "logprobs"
    ACTIVATIONS = "activations"
    WEIGHTS = "weights"
    BASE = "base"
    TRAINING_DATA = "training-data"

    @property
    def and_less(self) -> frozenset[Access]:
        """This access and all that is less."""
        levels = list(Access)
        return frozenset(levels[: levels.index(self) + 1])


class Message(Record):
    role: Literal["system", "user", "assistant"]
    content: str


Conversation = tuple[Message, ...]


class Question(Record):
    """A question without its truth. `group` is the entity or template that a split must not cross; an id begins with
    the name of its task and a slash.
    """

    id: str
    prompt: str
    level: int = Field(ge=0, description="Difficulty, 0 is the easiest.")
    group: str
    evidence: tuple[str, ...] = Field(
        (), description="Lines that settle it: more than an overseer can read, who is shown a few of them."
    )

    @property
    def text(self) -> str:
        """What a model is asked that reads everything: all of the evidence, then the question."""
        return "\n".join([*self.evidence, self.prompt])

    @property
    def asked(self) -> Conversation:
        """The same as a conversation, with nothing around it."""
        return (Message(role="user", content=self.text),)


class Cost(Record):
    """What something took. Seconds are measured; all else is counted."""

    seconds: float = 0.0
    tokens: int = 0
    forward_passes: int = 0
    human_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            seconds=self.seconds + other.seconds,
            tokens=self.tokens + other.tokens,
            forward_passes=self.forward_passes + other.forward_passes,
            human_seconds=self.human_seconds + other.human_seconds,
        )


class Unscored(Record):
    """A measurement that failed, and why. Never a number, never counted as safe."""

    kind: Literal["unscored"] = "unscored"
    reason: str = Field(min_length=1)


class Interval(Record):
    """An estimate with a two-sided interval at `level`."""

    value: float
    low: float
    high: float
    level: float = 0.95


class Judgement(Record):
    """An overseer's probability that the answer to a question is yes, with what it cost and why it says so."""

    kind: Literal["judgement"] = "judgement"
    question_id: str
    probability: float = Field(ge=0, le=1)
    cost: Cost = Cost()
    transcript: Conversation = ()
    if_argued: dict[Literal["yes", "no"], float] = Field(
        default_factory=dict, description="The probability after an argument for yes, and for no; where both were made."
    )


class Evidence(Record):
    """One thing a person can check: the conversation as the subject saw it, its answer, and what is odd about it."""

    prompt: Conversation
    answer: str
    note: str


Unit = Literal["share", "any"]  # of a detector's score, see `Detector`


class Verdict(Record):
    """A detector's opinion of one subject. A higher score is more suspicious; the threshold is set elsewhere."""

    kind: Literal["verdict"] = "verdict"
    score: float
    caveat: str | None = Field(None, description="Why even a high score would not show misalignment, if it would not.")
    evidence: tuple[Evidence, ...] = ()
    details: dict[str, float | list[float]] = Field(default_factory=dict)
    cost: Cost = Cost()


def _sentence(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


Sentence = Annotated[str, AfterValidator(_sentence)]


Requirement = Literal[
    "true-answer",
    "false-answer",
    "same-answer-in-every-context",
    "admits-not-knowing",
    "always-answers",
    "retracts-if-wrong",
    "defers-when-challenged",
]


class Probe(Record):
    """How one clause of a specification is tested: which task, and what the model's answer must be."""

    task: str
    require: Requirement


class Clause(Record):
    """One thing the designer wants, in words, with how it is tested."""

    id: str
    text: Sentence
    tested_by: tuple[Probe, ...] = Field(min_length=1)


class Specification(Record):
    """What the designer wants of the model. The specification is the designer's: every method works for any."""

    name: str
    summary: Sentence
    clauses: tuple[Clause, ...] = Field(min_length=1)

    def requires(self, requirement: Requirement) -> bool:
        """Whether any clause is tested by it."""
        return any(probe.require == requirement for clause in self.clauses for probe in clause.tested_by)


class Finding(StrEnum):
    """What a battery says of one subject."""

    CLEAR = "clear"
    FLAGGED = "flagged"
    UNDETERMINED = "undetermined"


class Decision(StrEnum):
    """What to do with the model."""

    PROCEED = "proceed"
    PAUSE = "pause"
    UNDETERMINED = "undetermined"


def finite(value: float) -> float | Unscored:
    """`value`, or `Unscored` when it is NaN or infinite."""
    return value if math.isfinite(value) else Unscored(reason=f"the measurement came out as {value}")
