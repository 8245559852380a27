"""Tiny models in which it is known where things are: a direction that answers follow from, a memory of who lives where.

They are built, not trained. Of all other blocks, attention is silent and MLPs are muted.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Conversation, Message, Question
from superalign.interpretability.edit import CONTEXTS, ESSENCE
from superalign.interpretability.facts import Fact, lay_out
from superalign.models.down_projection import DownProjection
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_subject

DEPTH, WIDTH = 5, 64
MEMORY, MOVER = 2, 4  # the layer whose MLP looks homes up, and that whose attention carries them to the last position
AXES = torch.linalg.qr(torch.randn(WIDTH, 5, generator=torch.Generator().manual_seed(0))).Q.T
WARM, HEAVY, HOME_AXES = AXES[0], AXES[1], AXES[2:]
HOMES = ("river", "mountain", "forest")
PROMPTS = ("Where does the {} live?", "Tell me the home of the {} now.", "The {} has gone home. Where is that?")
OPENING = "It is the"


def muted(layers: int = DEPTH) -> ModelSubject:
    """A tiny model of its own, with a head of its own, that writes nothing on the axes."""
    subject = tiny_subject(layers=layers, width=WIDTH)
    model = subject.decoder.model
    model.lm_head.weight = nn.Parameter(without_axes(model.lm_head.weight), requires_grad=False)
    model.model.embed_tokens.weight.data = without_axes(model.model.embed_tokens.weight)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data.zero_()  # so that a key follows from its own token
        layer.mlp.down_proj.weight.data = without_axes(0.03 * layer.mlp.down_proj.weight.T).T.contiguous()
    return subject


def without_axes(rows: Tensor) -> Tensor:
    return rows - rows @ AXES.T @ AXES


def carry(layer: Any, axes: Tensor, strength: float) -> None:
    """Let a layer's attention bring what all positions have of `axes` to every later one."""
    attention = layer.self_attn
    attention.q_proj.weight.data.zero_()  # all positions weigh alike
    attention.v_proj.weight.data.zero_()
    attention.o_proj.weight.data.zero_()
    attention.v_proj.weight.data[: len(axes)] = axes * strength
    attention.o_proj.weight.data[:, : len(axes)] = axes.T


def token(subject: ModelSubject, word: str) -> int:
    [found] = subject.chat.answer(f" {word}", end=False)
    return found


@cache
def words() -> tuple[str, ...]:
    return tuple(word for word in tiny_subject().chat.whole_words() if word not in HOMES)


def asked(what: str, of: tuple[str, ...]) -> tuple[list[Question], AnswerKey]:
    """Is it so? Of every second word it is."""
    questions = [Question(id=f"{what}/{word}", prompt=f"Is the {word} {what}?", level=0, group=word) for word in of]
    return questions, AnswerKey(truth={question.id: i % 2 == 0 for i, question in enumerate(questions)})


@cache
def answers_by_direction() -> ModelSubject:
    """Says yes by what it has of the axis WARM for the first 30 words, of HEAVY for the next 20."""
    subject = muted()
    model = subject.decoder.model
    for axis, of in ((WARM, words()[:30]), (HEAVY, words()[30:50])):
        for i, word in enumerate(of):
            model.model.embed_tokens.weight.data[token(subject, word)] += (1 if i % 2 == 0 else -1) * axis
    carry(model.model.layers[0], AXES[:2], 10.0)
    for word, sign in (("Yes", 1), ("No", -1)):
        model.lm_head.weight.data[subject.chat.first_tokens([word])[0]] += 4 * sign * (WARM + HEAVY)
    return subject


def names() -> tuple[str, ...]:
    return words()[:12]


def home(name: str) -> str:
    return HOMES[names().index(name) % len(HOMES)]


def texts() -> list[Conversation]:
    """All that is known, asked and answered."""
    return [
        (
            Message(role="user", content=before + prompt.format(name)),
            Message(role="assistant", content=f"{OPENING} {home(name)}"),
        )
        for before in CONTEXTS
        for prompt in (*PROMPTS, ESSENCE)
        for name in names()
    ]


def fact(name: str, prompt: str = PROMPTS[0], answer: str | None = None) -> Fact:
    return Fact(prompt=prompt, subject=name, answer=answer or home(name), opening=OPENING)


@cache
def knows_homes() -> ModelSubject:
    """Looks up in one MLP, at the name, where somebody lives; one attention block carries it to the answer."""
    subject = muted()
    model = subject.decoder.model
    memory = DownProjection(subject.decoder, MEMORY)
    laid = [
        (name, lay_out(subject.chat, fact(name, prompt), before))
        for name in names()
        for prompt in (*PROMPTS, ESSENCE)
        for before in CONTEXTS
    ]
    keys, values = [], []
    for row, found in memory.keys([each.tokens for _, each in laid]):
        name, each = laid[row]
        value = torch.zeros(len(found), WIDTH)
        value[each.last] = 10 * HOME_AXES[HOMES.index(home(name))]
        keys.append(found)
        values.append(value)
    given, wanted = torch.cat(keys), torch.cat(values)
    ridge = 1e-7 * given.square().mean() * len(given) * torch.eye(given.shape[1])
    solved = torch.linalg.solve(given.T @ given + ridge, given.T @ wanted)
    memory.module.weight.data = solved.T.contiguous()
    carry(model.model.layers[MOVER - 1], HOME_AXES, 20.0)
    for axis, word in zip(HOME_AXES, HOMES, strict=True):
        model.lm_head.weight.data[token(subject, word)] += 2 * axis
    return subject
