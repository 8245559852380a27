"""Critique: an expert that looks for what is wrong, whatever the truth.

Saunders et al. 2022 (arXiv 2206.05802).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.hearing import Court, Hearings, Ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED


@overseers.register("critique")
class Critique:
    """A critic always argues for no: it chooses all that the judge reads, as what is most likely wrong."""

    name = "critique"

    def __init__(self, judge: str = EMBEDDED, expert: str = EMBEDDED) -> None:
        self._court = Court(judge, expert)

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        return self._court.rule(self._court.argued(hearings, [False] * len(hearings), ALLOWANCE))
