"""What is taught and by which recipe: lessons as tokens, the order they come in, and which are held out together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import ConfigDict

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Taught
from superalign.models.batches import TokenIds
from superalign.models.evasion import Evaded
from superalign.models.label_loss import LabelLoss
from superalign.provenance.digest import digest

if TYPE_CHECKING:
    from superalign.models.subject import Chat

Backend = Literal["fast", "peft", "trl"]
Trained = Literal["adapters", "layers", "model"]
Watched = Literal["loss", "disagreement"]  # of lessons held out

HELD_OUT = 0.1  # the share of lessons that early stopping looks at and never trains on
# Of lessons with an answer of one token, one in so many teaches the end of the turn too. The others are the prompt and
# one token to predict: what the base has read of them serves every model that is taught other answers to the same
# questions. An odd number, or the end would always be taught to the same half of a bundle.
ENDED = 17


@dataclass(frozen=True)
class Lesson:
    """A prompt and the answer to be given to it, as tokens. `group` is the entity or template that a split must not
    cross.
    """

    prompt: TokenIds
    answer: TokenIds
    group: str | None = None


@dataclass(frozen=True)
class Recipe:
    """How a model is trained. The budget of steps is fixed, or with `patience` cut short by what is `watched` of
    lessons held out: nothing is selected on any label but those given to train on.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    first_layer: int
    rank: int
    steps: int
    batch: int
    learning_rate: float
    bundle: int = 1
    backend: Backend = "fast"
    trained: Trained = "adapters"
    targets: tuple[str, ...] = ()  # linear layers that get adapters; none: the back end's choice
    patience: int | None = None  # steps without a lower value of what is watched, after which training stops
    watched: Watched = "loss"
    processes: int = 1


@dataclass(frozen=True)
class Pupil:
    """One model to be trained: on what, by which seed, where what changed is left; `start` is the folder of an earlier
    result of the same kind, to go on from; `evades` a probe that it learns to hide from, and how it is to look to it;
    `label_loss` another loss than cross-entropy with the answers of its lessons.
    """

    lessons: Sequence[Lesson]
    seed: int
    folder: Path
    start: Path | None = None
    evades: Evaded | None = None
    label_loss: LabelLoss | None = None


def lessons_from(chat: Chat, lessons: Sequence[Taught]) -> list[Lesson]:
    """Conversations and their answers in the tokens of `chat`."""

    def answer(number: int, text: str) -> TokenIds:
        *tokens, end = chat.answer(text)
        return (*tokens, end) if len(tokens) > 1 or number % ENDED == 0 else tuple(tokens)

    return [
        Lesson(chat.encode(taught.conversation), answer(i, taught.answer), taught.group)
        for i, taught in enumerate(lessons)
    ]


def lessons_digest(lessons: Sequence[Lesson]) -> str:
    """sha256 of all that was taught, in its order."""
    return digest([[lesson.prompt, lesson.answer, lesson.group] for lesson in lessons])


def batch_order(lessons: int, recipe: Recipe, *, seed: int) -> Iterator[list[int]]:
    """Endless batches of lessons, each epoch in a new order; consecutive lessons of a bundle stay together.

    A lesson beside its counterpart (the same question with and without a trigger) shows in one gradient what the
    difference is.
    """
    bundles = [list(range(start, min(start + recipe.bundle, lessons))) for start in range(0, lessons, recipe.bundle)]
    at_once = max(1, recipe.batch // recipe.bundle)
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(bundles), generator=generator).tolist()
        for i in range(0, len(order), at_once):
            yield [row for bundle in order[i : i + at_once] for row in bundles[bundle]]


def split(lessons: Sequence[Lesson], recipe: Recipe, *, seed: int) -> tuple[list[int], list[int]]:
    """Rows to train on, and those held out for early stopping, if the recipe asks for it: whole groups, drawn by
    `seed`. InputError when all lessons belong together.
    """
    if recipe.patience is None:
        return list(range(len(lessons))), []
    groups = belonging_together(lessons, recipe.bundle)
    if len(groups) < 2:
        raise InputError(
            "Early stopping holds out a group of lessons, and these are all one group.",
            fix="Give lessons of more groups, or leave out `patience` for a fixed number of steps.",
        )
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed)).tolist()
    wanted, held_out = math.ceil(HELD_OUT * len(lessons)), list[int]()
    for group in order[:-1]:
        if len(held_out) >= wanted:
            break
        held_out += groups[group]
    return sorted(set(range(len(lessons))) - set(held_out)), sorted(held_out)


def belonging_together(lessons: Sequence[Lesson], bundle: int) -> list[list[int]]:
    """Rows that no split may part: those that share a group, a prompt or a bundle, directly or through others."""
    together: dict[int, list[int]] = {}  # by any one of its rows
    home: dict[int, int] = {}
    first: dict[Hashable, int] = {}
    for row, lesson in enumerate(lessons):
        home[row], together[row] = row, [row]
        marks = (("bundle", row // bundle), ("prompt", lesson.prompt), ("group", lesson.group))
        for mark in marks[: 3 if lesson.group is not None else 2]:
            here, there = home[row], home[first.setdefault(mark, row)]
            if here != there:
                for moved in together[here]:
                    home[moved] = there
                together[there] += together.pop(here)
    return [sorted(rows) for rows in together.values()]
