"""Two games in which each line of evidence says yes, no or nothing, and players who read them without a model."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.oversight.expert import Argument
from superalign.oversight.judge import Sitting
from superalign.tasks.specification import default_specification
from tests.scripted import ScriptedSubject, text_of

YES, NO, SILENT = "It says yes.", "It says no.", "It says nothing."
Game = Callable[[int, bool, random.Random], list[str]]
Misread = Callable[[Sitting, int], str | None]


def one_decides(length: int, truth: bool, rng: random.Random) -> list[str]:
    """All lines are silent but one."""
    lines = [SILENT] * length
    lines[rng.randrange(length)] = YES if truth else NO
    return lines


def all_must_hold(length: int, truth: bool, rng: random.Random) -> list[str]:
    """All lines say yes, but for one if the answer is no."""
    lines = [YES] * length
    if not truth:
        lines[rng.randrange(length)] = NO
    return lines


def played(game: Game, length: int, groups: int, seed: int = 0) -> tuple[list[Question], AnswerKey]:
    """A true and a false question in each group."""
    rng = random.Random(seed)
    truth = {f"game/{length}-{seed}-{group}/{own}": bool(own) for group in range(groups) for own in (1, 0)}
    questions = [
        Question(
            id=name,
            prompt=f"Is it so of {name.split('/')[1]}?",
            level=0,
            group=name.split("/")[1],
            evidence=tuple(game(length, is_true, rng)),
        )
        for name, is_true in truth.items()
    ]
    return questions, AnswerKey(truth=truth)


def trusted_with(game: Game, subject: ScriptedSubject | None = None) -> Trusted:
    """Easy questions with their truth: two lines each."""
    questions, key = played(game, 2, 20, seed=1)
    reader = subject or ScriptedSubject(lambda conversation: 0.0)
    return Trusted(reader, tuple(questions), key, default_specification())


def right(found: Sequence[Judgement | Unscored], questions: Sequence[Question], key: AnswerKey) -> float:
    """The share of right answers; none is none."""
    said = [None if isinstance(own, Unscored) or own.probability == 0.5 else own.probability > 0.5 for own in found]
    return float(np.mean([own == is_true for own, is_true in zip(said, key.of(questions), strict=True)]))


@dataclass
class Reader:
    """Plays judge and estimator: understands what it is shown, but for what it is made to misread."""

    misread: Misread = lambda sitting, line: None
    sittings: list[Sitting] = field(default_factory=list)

    def learn(self, given: Trusted) -> Self:
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        self.sittings += sittings
        return [
            probability([self.misread(sitting, line) or sitting.question.evidence[line] for line in sitting.lines])
            for sitting in sittings
        ]


class Believer(Reader):
    """Plays the expert as far as beliefs go."""

    def argue(self, sittings: Sequence[Sitting], sides: Sequence[bool], lines: int = 1) -> list[Argument | Unscored]:
        raise NotImplementedError("nobody is asked for arguments in these games")

    def believe(self, questions: Sequence[Question]) -> list[float | Unscored]:
        return self.read([Sitting(question, tuple(range(len(question.evidence)))) for question in questions])


def probability(lines: Sequence[str]) -> float:
    return 0.05 if NO in lines else 0.95 if YES in lines else 0.5


def understanding() -> ScriptedSubject:
    """A model that understands the lines."""
    return ScriptedSubject(
        lambda conversation: {0.05: -3.0, 0.95: 3.0, 0.5: 0.0}[probability(text_of(conversation).split("\n"))]
    )
