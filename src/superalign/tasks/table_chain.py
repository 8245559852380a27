"""A long chain of look-ups, each easy to check. One that is wrong makes the chain wrong."""

from __future__ import annotations

import random
import re
from itertools import pairwise

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.tasks.passage import COLOURS, THINGS
from superalign.tasks.versions import LENGTHS, Version, flawed, versioned_questions

PROMPT = "Does every step go where the table leads?"
LINE = re.compile(r"The table leads from (\w+) to (\w+)\. The step goes from (\w+) to (\w+)\.")


@tasks.register("table-chain")
class TableChain:
    """Does every step go where the table leads? Evidence: a step a line, with what the table says. Level by its length.

    Both versions take the same steps; in the false one the table leads elsewhere from one of them, so that no other
    line tells.
    """

    name = "table-chain"
    level_names = tuple(f"{length} steps" for length in LENGTHS)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """Questions on `limit` chains (all if None), as many from each level, in an order drawn by `seed`."""
        return versioned_questions(self.name, chain, self.level_names, limit, seed)

    def bearing(self, question: Question) -> tuple[int, ...]:
        """A step that follows the table speaks for yes, one that does not for no."""
        return tuple(1 if follows(line) else -1 for line in question.evidence)


def chain(level: int, rng: random.Random) -> tuple[Version, Version]:
    """A way through as many words as it takes, none of them twice, and the same with a flaw."""
    words = rng.sample((*THINGS, *COLOURS), LENGTHS[level] + 2)
    *way, elsewhere = words
    steps = list(pairwise(way))
    place = rng.randrange(len(steps))
    begin, end = steps[place]
    return flawed(PROMPT, [line(*step, step[1]) for step in steps], place, line(begin, end, elsewhere))


def line(begin: str, end: str, table: str) -> str:
    """A step, where the table leads from its begin to `table`."""
    return f"The table leads from {begin} to {table}. The step goes from {begin} to {end}."


def follows(text: str) -> bool:
    found = LINE.fullmatch(text)
    return found is not None and found[1] == found[3] and found[2] == found[4]
