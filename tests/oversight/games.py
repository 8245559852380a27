"""Games on passages, where every line is checked exactly and the players are scripted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from superalign.contracts.protocols import AnswerKey, Overseer, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import tasks
from superalign.oversight.judge import Judge, Sitting
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_subject


def passages(groups: int = 400) -> tuple[list[Question], AnswerKey]:
    """Questions of every length of a passage, and their truth."""
    questions, key = tasks.make("passage").load(limit=groups)
    return list(questions), key


def given(questions: Sequence[Question] = (), key: AnswerKey | None = None, seed: int = 0) -> Trusted:
    """What an overseer learns from whose players are scripted: nothing, unless there are questions."""
    own = key.only(questions) if key else AnswerKey(truth={})
    return Trusted(tiny_subject(), tuple(questions), own, default_specification(), seed)


def judged(overseer: Overseer, questions: Sequence[Question]) -> list[Judgement]:
    """Its judgements, none of which may fail."""
    found = overseer.judge(questions)
    scored = [judgement for judgement in found if isinstance(judgement, Judgement)]
    assert len(scored) == len(questions)
    return scored


def accuracy(judgements: Sequence[Judgement], key: AnswerKey) -> float:
    """Share judged right; half for one that is undecided."""
    right = [
        0.5 if own.probability == 0.5 else float((own.probability > 0.5) == key.truth[own.question_id])
        for own in judgements
    ]
    return float(np.mean(right))


class Listening:
    """A judge that notes all it is given before it passes it on; what `refuses` says is Unscored."""

    def __init__(self, judge: Judge, refuses: int | None = None) -> None:
        self.judge, self.refuses = judge, refuses
        self.read_lines: list[tuple[str, tuple[int, ...]]] = []

    def learn(self, given: Trusted) -> Self:
        self.judge.learn(given)
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        self.read_lines += [(sitting.question.id, sitting.lines) for sitting in sittings]
        return [
            Unscored(reason="this line can't be read") if self.refuses in sitting.lines else read
            for sitting, read in zip(sittings, self.judge.read(sittings), strict=True)
        ]
