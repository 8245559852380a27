"""A person as the judge. Here a simulated one, who is no expert: for experiments without people.

Whoever asks real people gives the court a judge whose `read` hands the sittings to a queue, and returns `Unscored` for
those that nobody has answered yet.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.direct import drawn
from superalign.oversight.hearing import Court, Hearings, Ruling
from superalign.oversight.judge import EMBEDDED, SCRIPTED, Judge, ScriptedJudge, Sitting, judge_named
from superalign.runs.cost import count


@overseers.register("human")
class Human:
    """A simulated non-expert, who reads what `direct` reads and answers yes or no.

    `reading` plays how the person understands a text (`scripted`: without a mistake). Then the person errs at
    `error_rate`, and guesses at questions above the level `understands` and where the reading is undecided. A judgement
    takes `minutes`; after `budget` minutes in all, questions come back `Unscored`.
    """

    name = "human"

    def __init__(
        self,
        reading: str = EMBEDDED,
        error_rate: float = 0.1,
        understands: int = 1,
        minutes: float = 1.0,
        budget: float | None = None,
    ) -> None:
        if not 0 <= error_rate <= 0.5:
            raise InputError(f"Nobody errs at a rate of {error_rate:g}.", fix="Say from 0 to 0.5.")
        if minutes < 0 or (budget is not None and budget < 0):
            raise InputError("Time can't be negative.", fix="Give 0 minutes or more.")
        reader = ScriptedJudge(error_rate=0) if reading == SCRIPTED else judge_named(reading)
        self._court = Court(NonExpert(reader, error_rate, understands, minutes))
        self._minutes, self._budget = minutes, budget

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        self._known = {question.group for question in given.questions}
        self._left = self._budget
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        """In the order of the questions, as long as the budget lasts; what is left of it is for the next call."""
        reached = [question for question in questions if self._has_time(question)]
        judged = dict(zip([own.id for own in reached], self._court.judgements(reached, self._hear), strict=True))
        spent = Unscored(reason=f"the {self._budget} minutes of people's time are spent")
        return [judged.get(question.id, spent) for question in questions]

    def _has_time(self, question: Question) -> bool:
        if self._left is None or question.group in self._known:
            return True
        if self._minutes > self._left:
            return False
        self._left -= self._minutes
        return True

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        return self._court.rule(drawn(hearings, self._court.given.seed))


@dataclass
class NonExpert:
    """A judge who says yes or no, and with it the probability of being right: that of not erring."""

    reader: Judge
    error_rate: float
    understands: int
    minutes: float
    seed: int = field(default=0, init=False)

    def learn(self, given: Trusted) -> Self:
        self.reader.learn(given)
        self.seed = given.seed
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        count(human_seconds=60 * self.minutes * len(sittings))
        return [
            read if isinstance(read, Unscored) else self._answer(sitting.question, read)
            for sitting, read in zip(sittings, self.reader.read(sittings), strict=True)
        ]

    def _answer(self, question: Question, read: float) -> float:
        """One who guesses does not know it: a person who is asked for yes or no says it as firmly."""
        rng = random.Random(f"person {self.seed} {question.id}")
        errs, guessed = rng.random() < self.error_rate, rng.random() < 0.5
        says = guessed if question.level > self.understands or read == 0.5 else (read > 0.5) != errs
        return 1 - self.error_rate if says else self.error_rate
