"""A long sum in small steps, each easy to check. One that is wrong makes the sum wrong."""

from __future__ import annotations

import random
import re
from itertools import pairwise

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.versions import LENGTHS, Version, flawed, versioned_questions

PROMPT = "Are all of these sums right?"
TOTALS = range(10)  # that a running total may have
LINE = re.compile(r"(\d+) ([+-]) (\d+) = (\d+)")


@tasks.register("sum-chain")
class SumChain:
    """Are all of these sums right? Evidence: a running total from 0 to 9, a sum a line. Level by its length.

    Both versions run through the same totals; in the false one something else is added or taken away in one line, so
    that no other line tells.
    """

    name = "sum-chain"
    level_names = tuple(f"{length} sums" for length in LENGTHS)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` chains (all if None), as many from each level, in an order drawn by `seed`."""
        return versioned_questions(self.name, chain, self.level_names, limit, seed)

    def bearing(self, question: Question) -> tuple[int, ...]:
        """A sum that is right speaks for yes, one that is wrong for no."""
        return tuple(1 if right(line) else -1 for line in question.evidence)


def chain(level: int, rng: random.Random) -> tuple[Version, Version]:
    """A total that changes with each line, and the same with a flaw: a line that leads elsewhere than it says."""
    totals = [rng.choice(TOTALS)]
    while len(totals) <= LENGTHS[level]:
        totals.append(other_than(totals[-1:], rng))
    steps = list(pairwise(totals))
    place = rng.randrange(len(steps))
    begin, end = steps[place]
    flaw = line(begin, other_than([begin, end], rng), end)
    return flawed(PROMPT, [line(begin, end, end) for begin, end in steps], place, flaw)


def other_than(totals: list[int], rng: random.Random) -> int:
    return rng.choice([total for total in TOTALS if total not in totals])


def line(begin: int, end: int, said: int) -> str:
    """The sum that leads from `begin` to `end`, with what is `said` to be its result."""
    return f"{begin} {'+' if end > begin else '-'} {abs(end - begin)} = {said}"


def right(text: str) -> bool:
    found = LINE.fullmatch(text)
    if found is None:
        return False
    begin, change, said = int(found[1]), int(found[3]), int(found[4])
    return said == (begin + change if found[2] == "+" else begin - change)
