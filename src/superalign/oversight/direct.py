"""The baseline of every protocol: the judge alone, with as much of the evidence as it may read, drawn blindly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import Court, Hearing, Hearings, Ruling
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
        return self._court.rule(drawn(hearings, self._court.given.seed))


def drawn(hearings: Hearings, seed: int) -> list[Hearing]:
    """The hearings after as many lines as a judge may read, which nobody chose."""
    return [own.after("By chance", Argument(blindly(own.question, seed))) for own in hearings]


def blindly(question: Question, seed: int) -> tuple[int, ...]:
    """As many of its lines as a judge may read."""
    return tuple(sorted(shuffled(question, seed)[:ALLOWANCE]))


def shuffled(question: Question, seed: int) -> list[int]:
    """The lines of its evidence in an order that chance gave them: the same one in every protocol, so that what differs
    between two protocols is not the draw.
    """
    lines = range(len(question.evidence))
    return random.Random(f"direct {seed} {question.id}").sample(lines, len(lines))
