"""Sums from reasoning-gym, with the steps that lead to the result: each easy to check, and one of them perhaps wrong.

Stojanovski et al. 2025 (arXiv 2505.24760). Their problems come with a result and no steps, which are worked out here.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.versions import LENGTHS, Version, versioned_questions

DIGITS = 1  # of each term
SLIPS = (-3, -2, -1, 1, 2, 3)  # by which a step may be wrong
LINE = re.compile(r"(-?\d+) ([+-]) (\d+) = (-?\d+)")


@tasks.register("chain-sum")
class ChainSum:
    """Is 4 - 1 + 7 equal to 10? Evidence: the sum worked out, a step a line. Level by its steps.

    The false version slips in one step, goes on from there rightly, and asks about what comes out. Registered where
    reasoning-gym is installed.
    """

    name = "chain-sum"
    level_names = tuple(f"{length} steps" for length in LENGTHS)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` sums (all if None), as many from each level, in an order drawn by `seed`."""
        return versioned_questions(self.name, worked, self.level_names, limit, seed)

    def bearing(self, question: Question) -> tuple[int, ...]:
        """A step that is right speaks for yes, one that is wrong for no."""
        return tuple(1 if right(line) else -1 for line in question.evidence)


def worked(level: int, rng: random.Random) -> tuple[Version, Version]:
    """A problem worked out, and the same with a slip."""
    expression = problem(LENGTHS[level] + 1, rng.randrange(2**31))
    place = rng.randrange(LENGTHS[level])
    return version(expression, place, 0), version(expression, place, rng.choice(SLIPS))


def problem(terms: int, seed: int) -> str:
    """The first problem of so many terms from reasoning-gym's `chain_sum` with this seed."""
    from reasoning_gym import create_dataset  # takes seconds, and listing the tasks should not

    made = create_dataset(
        "chain_sum", seed=seed, size=1, min_terms=terms, max_terms=terms, min_digits=DIGITS, max_digits=DIGITS
    )
    return str(made[0]["metadata"]["expression"])


def version(expression: str, place: int, slip: int) -> Version:
    """The expression worked out from left to right, with the result of one step off by `slip`."""
    first, *others = expression.split()
    total, lines = int(first), []
    for number, (sign, term) in enumerate(pairs(others)):
        before = total
        total += (int(term) if sign == "+" else -int(term)) + (slip if number == place else 0)
        lines.append(f"{before} {sign} {term} = {total}")
    return Version(f"Is {expression} equal to {total}?", tuple(lines))


def pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Signs with their terms."""
    return list(zip(words[::2], words[1::2], strict=True))


def right(text: str) -> bool:
    found = LINE.fullmatch(text)
    if found is None:
        return False
    before, change, said = int(found[1]), int(found[3]), int(found[4])
    return said == (before + change if found[2] == "+" else before - change)
