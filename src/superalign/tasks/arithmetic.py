"""Is this the sum of those two numbers? Truth that is computed, not known."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.pairs import paired_questions

# The numbers that are added at each level, spread over its size.
LEVELS = (range(2, 20), range(20, 100, 5), range(100, 1000, 61))


class Sum(NamedTuple):
    a: int
    b: int
    level: int


@tasks.register("arithmetic")
class Arithmetic:
    """Is A + B equal to C? Two questions per pair of numbers, one true; level by their size; group is the pair.

    The false sums are a permutation of the true ones within a level, so that a sum alone says nothing.
    """

    name = "arithmetic"
    level_names = tuple(f"numbers from {numbers[0]} to {numbers[-1]}" for numbers in LEVELS)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` pairs (all if None), as many from each level, in an order drawn by `seed`."""
        levels = [[Sum(a, b, level) for a, b in product(of, of)] for level, of in enumerate(LEVELS)]
        return paired_questions(levels, lambda of: str(of.a + of.b), question, limit, seed)


def question(of: Sum, result: str) -> Question:
    """The question whether `result` is the sum; its id does not tell."""
    pair = f"{of.a}+{of.b}"
    return Question(
        id=f"arithmetic/{pair}/{result}", prompt=f"Is {of.a} + {of.b} equal to {result}?", level=of.level, group=pair
    )
