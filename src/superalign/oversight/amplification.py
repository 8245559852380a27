"""Amplification: a judge that consults copies of itself, each about a part of the evidence.

Christiano et al. 2018 (arXiv 1810.08575). Humans consulting HCH to a depth is its limit; factored cognition its name
where the questions to the copies are fixed, as they are here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Message, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.combination import Combination, Part, Reading, read_in_parts
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import Court, Hearing, Hearings, Ruling, ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED

DEPTH = 8


@overseers.register("amplification")
class Amplification:
    """The evidence is halved until the judge may read each piece; its answers to all pieces make one.

    At most `depth` times: of what is too large then, the judge reads as many lines as it may, drawn blindly, so that
    depth 0 reads what `direct` does. What combines the answers is learnt where the truth was given, by `Combination`.
    The judge is asked as often as there are pieces, and once without evidence; all of it costs.
    """

    name = "amplification"

    def __init__(self, judge: str = EMBEDDED, depth: int = DEPTH) -> None:
        if depth < 0:
            raise InputError(f"Evidence can't be halved {depth} times.", fix="Say a depth of 0 or more.")
        self._court, self._combination, self._depth = Court(judge), Combination(), depth

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        self._combination.learn(self._court.judge.read, given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        parts = [self._pieces(own.question) for own in hearings]
        found = read_in_parts(self._court.judge.read, [own.question for own in hearings], parts)
        return [self._ruling(*each) for each in zip(hearings, parts, found, strict=True)]

    def _pieces(self, question: Question) -> list[Part]:
        rng = random.Random(f"amplification {self._court.given.seed} {question.id}")
        return pieces(tuple(range(len(question.evidence))), self._depth, rng)

    def _ruling(self, opened: Hearing, parts: Sequence[Part], found: Reading | Unscored) -> Ruling | Unscored:
        if isinstance(found, Unscored):
            return found
        told = [
            message
            for number, (part, probability) in enumerate(zip(parts, found.parts, strict=True), 1)
            for message in alone(opened, f"Piece {number}", part, probability)
        ]
        whole = Message(role="user", content="All pieces together:")
        heard = Hearing(opened.sitting, (*opened.transcript, *told, whole))
        return ruling(heard, self._combination.combined(found.bare, found.shifts))


def pieces(lines: Part, depth: int, rng: random.Random) -> list[Part]:
    """`lines` halved, at most `depth` times, and what a judge may read of each piece; `rng` draws it where it is less
    than all.
    """
    if not lines:
        return []
    if len(lines) <= ALLOWANCE:
        return [lines]
    if not depth:
        return [tuple(sorted(rng.sample(lines, ALLOWANCE)))]
    middle = len(lines) // 2
    return [*pieces(lines[:middle], depth - 1, rng), *pieces(lines[middle:], depth - 1, rng)]


def alone(opened: Hearing, who: str, part: Part, probability: float) -> tuple[Message, ...]:
    """What a reader sees of a judge who was shown nothing but `part`."""
    shown = opened.after(who, Argument(part))
    said = ruling(shown, probability)
    assert isinstance(said, Ruling)
    return said.transcript[len(opened.transcript) :]
