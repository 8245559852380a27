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
from superalign.oversight.judge import (
    EMBEDDED,
    SCRIPTED,
    Sitting,
    bearing_of,
    probabilities,
    taught_judge,
)

OWN_SEED = 1000  # experts are taught apart from judges: else they would know what a judge misreads


@dataclass(frozen=True)
class Argument:
    """What an expert shows, the strongest line first, and what it says to it."""

    lines: tuple[int, ...]
    text: str = ""


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
    """`embedded`, `scripted`, or an Inspect AI name. InputError for any other."""
    if name == SCRIPTED:
        return ScriptedExpert()
    if name == EMBEDDED:
        return ModelExpert()
    if is_endpoint(name):
        return ModelExpert(EndpointSubject(name))
    raise InputError(f"Nobody named {name!r} plays a role.", fix="Say embedded, scripted, or PROVIDER/MODEL.")


@dataclass
class ModelExpert:
    """A model that reads one line at a time and shows those that move itself furthest to its side.

    Without a model of its own, it is the one that comes with what is given, taught as a judge is, by the same labels.
    """

    model: Subject | None = None

    def learn(self, given: Trusted) -> Self:
        self._reader = self.model or taught_judge(given, given.seed + OWN_SEED)
        return self

    def argue(self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int = 1) -> list[Argument | Unscored]:
        read = self._line_by_line([sitting.question for sitting in sittings])
        return [
            strongest([p if side else _not(p) for p in own], sitting, lines)
            for own, sitting, side in zip(read, sittings, sides, strict=True)
        ]

    def believe(self, questions: Sequence[Question]) -> list[float | Unscored]:
        """That of the line that moves it furthest from not knowing."""
        return [max(own, key=_firmness, default=0.5) for own in self._line_by_line(questions)]

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
