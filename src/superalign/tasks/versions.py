"""One question in two versions: of one the answer is yes, of the other no, and their names don't say which.

Most tasks make the second version from the first by a flaw in its evidence, and ask the same of both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.tasks.pairs import paired_questions

GROUPS = 400  # of each level
LENGTHS = (2, 4, 8, 16)  # lines of evidence, by level: an overseer reads two of them
NAMES = ("a", "b")


class Version(NamedTuple):
    """What is asked, and the evidence for it."""

    prompt: str
    evidence: tuple[str, ...]


class Group(NamedTuple):
    """The two versions of one number; `yes` is the name of that to which the answer is yes."""

    level: int
    number: int
    yes: str


Build = Callable[[int, random.Random], tuple[Version, Version]]


def versioned_questions(
    task: str, build: Build, levels: Sequence[str], limit: int | None, seed: int
) -> tuple[list[Question], AnswerKey]:
    """Questions on `limit` groups (all if None), as many from each level, in an order drawn by `seed`.

    `build` makes both versions for a level, that of yes first; a group is always the same.
    """

    def drawn(level: int, number: int) -> Group:
        return Group(level, number, random.Random(f"{task} {level} {number} name").choice(NAMES))

    @cache
    def both(of: Group) -> tuple[Version, Version]:
        return build(of.level, random.Random(f"{task} {of.level} {of.number}"))

    def question(of: Group, name: str) -> Question:
        group = f"{of.level}-{of.number}"
        prompt, evidence = both(of)[name != of.yes]
        return Question(id=f"{task}/{group}/{name}", prompt=prompt, level=of.level, group=group, evidence=evidence)

    groups = [[drawn(level, number) for number in range(GROUPS)] for level in range(len(levels))]
    return paired_questions(groups, lambda of: of.yes, question, limit, seed)


def flawed(prompt: str, lines: Sequence[str], place: int, flaw: str) -> tuple[Version, Version]:
    """The lines as they are, and with a flaw in this place; the same is asked of both."""
    return Version(prompt, tuple(lines)), Version(prompt, (*lines[:place], flaw, *lines[place + 1 :]))
