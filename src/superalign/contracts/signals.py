"""A training signal: what an overseer wrote down for students to learn from, and what it could not say."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field

from superalign.contracts.records import Question, Record, Unscored

SignalName = Literal["labels", "preferences", "steps"]
Answer = Literal["Yes", "No"]
SIGNAL_FILE = "signal.jsonl"  # in the run folder: an object a line


class Label(Record):
    """The answer to a question that the overseer takes to be right."""

    kind: Literal["label"] = "label"
    question_id: str
    answer: Answer
    probability: float = Field(ge=0, le=1, description="That it is right, as the overseer says.")

    @property
    def yes(self) -> bool:
        return self.answer == "Yes"


class Preference(Record):
    """Which of two answers to a question the overseer prefers."""

    kind: Literal["preference"] = "preference"
    question_id: str
    chosen: Answer
    rejected: Answer
    probability: float = Field(gt=0.5, le=1, description="With which it prefers the one to the other.")

    @property
    def yes(self) -> bool:
        return self.chosen == "Yes"


class StepReward(Record):
    """The overseer's approval of one step of a solution, judged by itself."""

    kind: Literal["step"] = "step"
    question_id: str = Field(description="Of the whole question.")
    step: int = Field(ge=0, description="Its line of the evidence, from 0.")
    reward: float = Field(ge=0, le=1, description="The probability that it is right.")

    @property
    def yes(self) -> bool:
        return self.reward > 0.5


Given = Annotated[Label | Preference | StepReward | Unscored, Field(discriminator="kind")]


class Signal(Record):
    """What was given for each question that was asked, single steps being questions of their own."""

    name: SignalName
    questions: tuple[Question, ...]
    given: tuple[Given, ...] = Field(description="In the order of the questions.")

    @property
    def answers(self) -> list[bool | None]:
        """What each teaches, yes or no; None where the overseer gave nothing."""
        return [None if isinstance(own, Unscored) else own.yes for own in self.given]

    @property
    def reasons(self) -> dict[str, int]:
        """Why so many are unscored."""
        return dict(Counter(own.reason for own in self.given if isinstance(own, Unscored)))
