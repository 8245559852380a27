"""Debate: two experts, one for each side, choose what of the evidence the judge is shown.

Irving et al. 2018 (arXiv 1805.00899); judged beside consultancy by Kenton et al. 2024 (arXiv 2407.04622).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.hearing import SIDES, Court, Hearing, Hearings, Ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED

Order = Literal["simultaneous", "sequential"]


@overseers.register("debate")
class Debate:
    """Two experts argue, one for yes and one for no; each shows half of what the judge may read.

    `simultaneous`: neither sees what the other shows. `sequential`: the second does, and every question is heard twice,
    either side first; the judgement is the mean.
    """

    name = "debate"

    def __init__(self, judge: str = EMBEDDED, expert: str = EMBEDDED, order: Order = "simultaneous") -> None:
        if order not in ("simultaneous", "sequential"):
            raise InputError(f"A debate is not held in the order {order!r}.", fix="Say simultaneous or sequential.")
        self._court, self._order = Court(judge, expert), order

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        if self._order == "simultaneous":
            return [argued_both(found) for found in self._court.rule(self._at_once(hearings))]
        either = [self._court.rule(self._in_turn(hearings, first)) for first in (True, False)]
        return [mean(one, other) for one, other in zip(*either, strict=True)]

    def _at_once(self, hearings: Hearings) -> list[Hearing | Unscored]:
        yes, no = (self._argued(hearings, side) for side in (True, False))
        return [
            one if isinstance(one, Unscored) else other if isinstance(other, Unscored) else one.beside(other, opened)
            for opened, one, other in zip(hearings, yes, no, strict=True)
        ]

    def _in_turn(self, hearings: Hearings, first: bool) -> list[Hearing | Unscored]:
        opened = self._argued(hearings, first)
        answered = iter(self._argued([own for own in opened if isinstance(own, Hearing)], not first))
        return [own if isinstance(own, Unscored) else next(answered) for own in opened]

    def _argued(self, hearings: Hearings, side: bool) -> list[Hearing | Unscored]:
        return self._court.argued(hearings, [side] * len(hearings), ALLOWANCE // 2)


def argued_both(found: Ruling | Unscored, probability: float | None = None) -> Ruling | Unscored:
    """A ruling after both sides were argued at once: to each, its payoff is that same probability."""
    if isinstance(found, Unscored):
        return found
    value = found.probability if probability is None else probability
    return Ruling(value, found.transcript, {side: value for side in SIDES.values()})


def mean(one: Ruling | Unscored, other: Ruling | Unscored) -> Ruling | Unscored:
    """Of a question that was heard twice; the transcript is of the first hearing."""
    if isinstance(one, Unscored) or isinstance(other, Unscored):
        return one if isinstance(one, Unscored) else other
    return argued_both(one, (one.probability + other.probability) / 2)
