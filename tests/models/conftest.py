"""Tiny models, and what transformers itself makes of a conversation, which ours must equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from superalign.contracts.records import Conversation, Message
from superalign.models.batches import TokenIds
from superalign.models.card import TrainingCard
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.subject import ModelSubject
from superalign.models.train import train
from superalign.tasks.cities import Cities
from superalign.testing.tiny import tiny_subject

RECIPE = Recipe(first_layer=2, rank=4, steps=60, batch=16, learning_rate=1e-2)


@torch.no_grad()
def plain_states(model: Any, sequence: TokenIds) -> list[torch.Tensor]:
    """Residual stream at the last token by layer, each conversation run alone; the last one is normalised."""
    hidden = model(torch.tensor([sequence]), output_hidden_states=True).hidden_states
    return [state[0, -1] for state in hidden]


@torch.no_grad()
def plain_logits(model: Any, sequence: TokenIds) -> torch.Tensor:
    return model(torch.tensor([sequence])).logits[0, -1]


def user(text: str) -> Conversation:
    return (Message(role="user", content=text),)


def rule_lessons(subject: ModelSubject, words: Sequence[str], count: int, start: int = 0) -> list[Lesson]:
    """Answer yes where the question opens with the first of two words: a rule that a tiny model can learn."""
    questions = Cities().load(limit=count + start, seed=3)[0][2 * start : 2 * (start + count)]
    return [
        Lesson(
            subject.chat.encode(user(f"{words[i % 2]}: {question.prompt}")),
            subject.chat.answer("Yes" if i % 2 == 0 else "No"),
        )
        for i, question in enumerate(questions)
    ]


@pytest.fixture(scope="session")
def tiny() -> ModelSubject:
    """Float32, so that rounding is small against any mistake."""
    return tiny_subject()


@pytest.fixture(scope="session")
def asked() -> list[Conversation]:
    """Questions with and without a system message, of different lengths."""
    questions = [question.asked for question in Cities().load(limit=10)[0]]
    other = (Message(role="system", content="Answer with one word."), *user("Is water wet?"))
    return [*questions, other, user("Hello"), user("a " * 60)]


def train_one(
    base: ModelSubject,
    lessons: Sequence[Lesson],
    recipe: Recipe,
    folder: Path,
    *,
    seed: int = 0,
    start: Path | None = None,
    base_digest: str = "0" * 64,
) -> TrainingCard:
    [card] = train(base, [Pupil(lessons, seed, folder, start)], recipe, base_digest=base_digest)
    return card
