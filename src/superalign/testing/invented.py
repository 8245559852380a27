"""Invented questions that no part can know, and a watch over who asks for truth that it was not given."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks


def comparisons(groups: int) -> tuple[list[Question], AnswerKey]:
    """Invented questions that no part can know: "Is 17 larger than 5?" and its converse, in random order."""
    rng = random.Random(0)
    questions, truth = [], {}
    for group in range(groups):
        pair = rng.sample(range(100), 2)
        for a, b in rng.sample([pair, pair[::-1]], 2):
            question = Question(
                id=f"invented/{group}/{a}-{b}", prompt=f"Is {a} larger than {b}?", level=group % 3, group=str(group)
            )
            questions.append(question)
            truth[question.id] = a > b
    return questions, AnswerKey(truth=truth)


@contextmanager
def watched_task(asked_for: list[str]) -> Iterator[None]:
    """While the invented questions are of a registered task, which writes to `asked_for` that its key was loaded."""

    class Invented:
        name, level_names = "invented", ("one", "two", "three")

        def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
            asked_for.append("all questions of the task")
            return comparisons(40)

    tasks.names()  # has all others registered, which would else be forgotten with this one
    with patch.dict(tasks._factories, invented=Invented):
        yield


def guarded(key: AnswerKey, asked_for: list[str]) -> AnswerKey:
    """`key`, which writes to `asked_for` what it is asked for and does not hold."""

    class Guarded(dict[str, bool]):
        def __missing__(self, question_id: str) -> bool:
            asked_for.append(question_id)
            raise KeyError(question_id)

    return AnswerKey.model_construct(truth=Guarded(key.truth))
