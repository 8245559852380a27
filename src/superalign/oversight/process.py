"""Process supervision against outcome supervision, with a dial between them.

Uesato et al. 2022 (arXiv 2211.14275); Lightman et al. 2023 (arXiv 2305.20050).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.direct import shuffled
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import Court, Hearing, Hearings, Ruling, ruling
from superalign.oversight.judge import EMBEDDED


@overseers.register("process")
class Process:
    """The judge approves the steps, which are the lines of the evidence, one by one, each in a sitting of its own.

    `approved` is the share of the steps that are read, drawn by chance: 0 is outcome supervision, where the judge sees
    the bare question; 1 is every step. It is one sitting for the question and one for each step read, which the costs
    show, and so no equal of a protocol that keeps to the allowance.
    """

    name = "process"

    def __init__(self, judge: str = EMBEDDED, approved: float = 1.0) -> None:
        if not 0 <= approved <= 1:
            raise InputError(f"A share of {approved:g} of the steps can't be approved.", fix="Say from 0 to 1.")
        self._court, self._approved = Court(judge), approved

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        return in_parts(
            self._court,
            hearings,
            [[own, *steps(own, self._drawn(own.question))] for own in hearings],
            lambda read: none_refutes(read[0], read[1:]),
        )

    def _drawn(self, question: Question) -> list[int]:
        lines = shuffled(question, self._court.given.seed)
        return sorted(lines[: round(self._approved * len(lines))])


def steps(hearing: Hearing, lines: Sequence[int]) -> list[Hearing]:
    """A hearing of each of these lines by itself."""
    return [hearing.after("Step", Argument((line,))) for line in lines]


def in_parts(
    court: Court,
    hearings: Hearings,
    parts: Sequence[Sequence[Hearing]],
    combine: Callable[[Sequence[float]], float],
) -> list[Ruling | Unscored]:
    """A ruling on each question, which `combine` makes of those on its parts. Unscored where one part is."""
    read = iter(court.rule([part for own in parts for part in own]))
    return [_together(opened, [next(read) for _ in own], combine) for opened, own in zip(hearings, parts, strict=True)]


def _together(
    opened: Hearing, parts: Sequence[Ruling | Unscored], combine: Callable[[Sequence[float]], float]
) -> Ruling | Unscored:
    read = [part for part in parts if isinstance(part, Ruling)]
    if len(read) < len(parts):
        return next(part for part in parts if isinstance(part, Unscored))
    said = [message for part in read for message in part.transcript[len(opened.transcript) :]]
    heard = Hearing(opened.sitting, (*opened.transcript, *said))
    return ruling(heard, combine([part.probability for part in read]))


def none_refutes(bare: float, steps: Sequence[float]) -> float:
    """The probability of yes from that at the bare question and those after each step alone.

    A step is measured against the bare question. One that leaves the judge less sure of yes leaves the answer so much
    of its probability; one that leaves it surer takes away so much of the doubt. The answer stands if no step refutes
    it, by the product over steps (Lightman et al., section 2), and if what doubt the steps left is not borne out. No
    step gives back `bare`; a single one, its own probability.
    """
    unrefuted = prod(_share(step, bare) for step in steps)
    doubt = (1 - bare) * prod(_share(1 - step, 1 - bare) for step in steps)
    return unrefuted * (1 - doubt)


def _share(left: float, before: float) -> float:
    return 1.0 if left >= before else left / before
