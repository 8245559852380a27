"""Two questions about each of some facts, one with its right answer and one with the answer to another."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question

Fact = TypeVar("Fact")


def paired_questions(
    levels: Sequence[Sequence[Fact]],
    answer: Callable[[Fact], str],
    ask: Callable[[Fact, str], Question],
    limit: int | None,
    seed: int,
) -> tuple[list[Question], AnswerKey]:
    """Questions on `limit` facts (all if None), as many of each level, in an order drawn by `seed`; the two of a fact
    stand together, in either order.

    The false answers are a permutation of the right ones within a level, so that an answer alone says nothing.
    """
    rng = random.Random(seed)
    known = sorted({answer(fact) for facts in levels for fact in facts})
    pairs: list[tuple[Question, Question]] = []
    truth: dict[str, bool] = {}
    for level, facts in enumerate(levels):
        own = list(facts)
        rng.shuffle(own)
        own = own if limit is None else own[: (limit + level) // len(levels)]
        for fact, other in zip(own, false_answers([answer(fact) for fact in own], known, rng), strict=True):
            right, wrong = ask(fact, answer(fact)), ask(fact, other)
            truth |= {right.id: True, wrong.id: False}
            pairs.append((right, wrong))
    rng.shuffle(pairs)
    return [question for pair in pairs for question in rng.sample(pair, 2)], AnswerKey(truth=truth)


def false_answers(right: list[str], known: Sequence[str], rng: random.Random) -> list[str]:
    """For each answer another one: a permutation of them, but for the few that can't be placed in one; these are given
    any other that is `known`.
    """
    others = right.copy()
    rng.shuffle(others)
    for _ in range(100):
        clashes = [i for i, other in enumerate(others) if other == right[i]]
        if not clashes:
            return others
        for i in clashes:
            j = rng.randrange(len(others))
            others[i], others[j] = others[j], others[i]
    return [
        rng.choice([answer for answer in known if answer != own]) if other == own else other
        for own, other in zip(right, others, strict=True)
    ]
