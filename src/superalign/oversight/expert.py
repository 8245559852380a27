"""Experts: they read all of the evidence, and choose for one side what of it a judge is shown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Question, Unscored
from superalign.models.endpoint import EndpointSubject, is_endpoint
from superalign.oversight.argument import TOKENS, argument_asked, material, read_argument
from superalign.oversight.argument import Argument as Argument
from superalign.oversight.judge import (
    EMBEDDED,
    SCRIPTED,
    Sitting,
    bearing_of,
    estimates,
    probabilities,
    taught_judge,
)

JUDGE = "judge"
OWN_SEED = 1000  # experts are taught apart from judges: else they would know what a judge misreads


class Expert(Protocol):
    """Whoever argues. Reads all of the evidence; knows no truth but what it was given."""

    def learn(self, given: Trusted) -> Self: ...

    def argue(self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int = 1) -> list[Argument | Unscored]:
        """For each question, `lines` of its evidence that are not shown yet and speak for the side: yes if True."""
        ...

    def believe(self, questions: Sequence[Question]) -> list[float | Unscored]:
        """Its own probability of yes for each question, having read everything."""
        ...


def expert_named(name: str) -> Expert:
    """`embedded`, `judge` (the embedded judge itself), `scripted`, or an Inspect AI name. InputError for any other."""
    if name == SCRIPTED:
        return ScriptedExpert()
    if name == EMBEDDED:
        return ModelExpert()
    if name == JUDGE:
        return ModelExpert(seed=0)
    if is_endpoint(name):
        return ModelExpert(EndpointSubject(name))
    raise InputError(f"Nobody named {name!r} plays a role.", fix="Say embedded, judge, scripted, or PROVIDER/MODEL.")


@dataclass
class ModelExpert:
    """A model. Without one of its own, the one that comes with what is given, taught as a judge is, by the same labels:
    it reads one line at a time and shows those that move itself furthest to its side. One that can't be taught is told
    in words what to do, and argues in words.

    With the judge's own `seed`, 0, the expert is the judge's own model, and shows what moves that judge furthest: the
    worst case of a judge that is optimised against.
    """

    model: Subject | None = None
    seed: int = OWN_SEED

    def learn(self, given: Trusted) -> Self:
        self._reader = self.model or taught_judge(given, given.seed + self.seed)
        self._taught = self.model is None and self._reader is not given.subject
        return self

    def argue(self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int = 1) -> list[Argument | Unscored]:
        if not self._taught:
            return self._argue_in_words(sittings, sides, lines)
        read = self._line_by_line([sitting.question for sitting in sittings])
        return [
            strongest([p if side else _not(p) for p in own], sitting, lines)
            for own, sitting, side in zip(read, sittings, sides, strict=True)
        ]

    def believe(self, questions: Sequence[Question]) -> list[float | Unscored]:
        """Of a model that was taught: that of the line, or of the bare question, that moves it furthest from not
        knowing.
        """
        if not self._taught:
            return estimates(self._reader, [material(question) for question in questions])
        bare = probabilities(self._reader, [Sitting(question).asked for question in questions])
        read = self._line_by_line(questions)
        return [max([*own, alone], key=_firmness) for own, alone in zip(read, bare, strict=True)]

    def _argue_in_words(
        self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int
    ) -> list[Argument | Unscored]:
        if not sittings:
            return []
        asked = [argument_asked(sitting, side, lines) for sitting, side in zip(sittings, sides, strict=True)]
        answers = self._reader.respond(asked, TOKENS)
        return [read_argument(answer, sitting, lines) for answer, sitting in zip(answers, sittings, strict=True)]

    def _line_by_line(self, questions: Sequence[Question]) -> list[list[float | Unscored]]:
        each = [Sitting(question, (line,)) for question in questions for line in range(len(question.evidence))]
        read = iter(probabilities(self._reader, [sitting.asked for sitting in each]))
        return [[next(read) for _ in question.evidence] for question in questions]


@dataclass
class ScriptedExpert:
    """A program that understands all of the evidence: the best player of a game that can be checked exactly."""

    seed: int = field(default=0, init=False)

    def learn(self, given: Trusted) -> Self:
        self.seed = given.seed
        return self

    def argue(self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int = 1) -> list[Argument | Unscored]:
        return [self._argument(*each, lines) for each in zip(sittings, sides, strict=True)]

    def believe(self, questions: Sequence[Question]) -> list[float | Unscored]:
        """Certain: no where a line speaks for it, yes otherwise."""
        bearings = [bearing_of(question) for question in questions]
        return [own if isinstance(own, Unscored) else float(min(own, default=0) >= 0) for own in bearings]

    def _argument(self, sitting: Sitting, side: bool, lines: int) -> Argument | Unscored:
        bearing = bearing_of(sitting.question)
        if isinstance(bearing, Unscored):
            return bearing
        # Lines that speak as much for a side as others do are shown in an order that gives nothing away.
        rng = random.Random(f"{self.seed} {sitting.question.id} {side}")
        ties = [rng.random() * 0.1 for _ in bearing]
        return strongest(
            [(own if side else -own) + tie for own, tie in zip(bearing, ties, strict=True)], sitting, lines
        )


def strongest(scores: Sequence[float | Unscored], sitting: Sitting, lines: int) -> Argument | Unscored:
    """The lines of the highest scores among those that are not shown yet."""
    told = [score for score in scores if not isinstance(score, Unscored)]
    if len(told) < len(scores):
        return next(score for score in scores if isinstance(score, Unscored))
    left = [line for line in range(len(told)) if line not in sitting.lines]
    return Argument(tuple(sorted(left, key=lambda line: -told[line])[:lines]))


def _not(probability: float | Unscored) -> float | Unscored:
    return probability if isinstance(probability, Unscored) else 1 - probability


def _firmness(probability: float | Unscored) -> float:
    return -1 if isinstance(probability, Unscored) else abs(probability - 0.5)
