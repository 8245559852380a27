"""The baseline of every protocol: the judge alone, with as much of the evidence as it may read, drawn blindly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import Court, Hearings, Ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED


@overseers.register("direct")
class Direct:
    """A judge on its own: it reads the question and a few lines of evidence that nobody chose."""

    name = "direct"

    def __init__(self, judge: str = EMBEDDED) -> None:
        self._court = Court(judge, None)

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        return self._court.rule([own.after("By chance", self._drawn(own.question)) for own in hearings])

    def _drawn(self, question: Question) -> Argument:
        lines = range(len(question.evidence))
        rng = random.Random(f"direct {self._court.given.seed} {question.id}")
        return Argument(tuple(sorted(rng.sample(lines, min(len(lines), ALLOWANCE)))))
