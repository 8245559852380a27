"""Training answers into a decoder: adapters at work on the answer, over what the frozen base has read.

A conversation is read once, not once per step and not once per model; a step runs the upper layers on the few tokens
from which the answer follows. The loss needs logits at the answer only, which are gathered before the output matrix is
applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from superalign.models.adapter import AdaptedDecoder
from superalign.models.decoder import TokenIds
from superalign.models.reading import Reading, joined, run_own
from superalign.runs.cost import count
from superalign.runs.progress import advance


@dataclass(frozen=True)
class Lesson:
    """A prompt and the answer to be given to it, as tokens."""

    prompt: TokenIds
    answer: TokenIds


@dataclass(frozen=True)
class Recipe:
    """How adapters are trained. The budget of steps is fixed: nothing is selected on any label."""

    first_layer: int
    rank: int
    steps: int
    batch: int
    learning_rate: float
    bundle: int = 1


# The share of the loss on the whole vocabulary. The rest contrasts the answers in use: with the whole-vocabulary loss
# alone, the first tens of steps go into "answer with one word" and the labels are learnt late (AUROC 0.85 against
# 0.88 after 50 steps).
VOCABULARY_SHARE = 0.2


def continue_training(student: AdaptedDecoder, lessons: Sequence[Lesson], recipe: Recipe, *, seed: int) -> None:
    """Train the adapters of `student` for `recipe.steps` more. Same inputs and threads, same weights to the bit."""
    sequences = [lesson.prompt + lesson.answer[:-1] for lesson in lessons]
    own = [student.own(lesson.prompt) + len(lesson.answer) - 1 for lesson in lessons]
    reading = read_by_own(student, sequences, own)
    choices = torch.tensor(sorted({lesson.answer[0] for lesson in lessons}), device=student.device)
    parameters = list(student.adapters().values())
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_up_and_decay(step, recipe.steps))
    order = batch_order(len(lessons), recipe, torch.Generator().manual_seed(seed))
    freeze_all_but(student, parameters)
    for step in range(recipe.steps):
        rows = next(order)
        loss = answer_loss(student, reading, rows, lessons, choices)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        count(tokens=sum(len(sequences[row]) for row in rows), forward_passes=len(rows))
        advance(step + 1, recipe.steps)
    for parameter in parameters:
        parameter.requires_grad_(False)


def read_by_own(student: AdaptedDecoder, sequences: Sequence[TokenIds], own: Sequence[int]) -> Reading:
    """What the base reads of `sequences`, those with as many own positions together: prompts that are shared with other
    models are remembered whatever answers stand beside them.
    """
    readings: dict[int, Reading] = {}
    place: dict[int, tuple[int, int]] = {}
    for size in sorted(set(own)):
        rows = [row for row, kept in enumerate(own) if kept == size]
        place |= {row: (size, i) for i, row in enumerate(rows)}
        readings[size] = student.base.read([sequences[row] for row in rows], student.first_layer, [size] * len(rows))
    return joined(readings, [place[row] for row in range(len(sequences))])


def answer_loss(
    student: AdaptedDecoder,
    reading: Reading,
    rows: Sequence[int],
    lessons: Sequence[Lesson],
    choices: Int[Tensor, "_"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the first token among the answers in use, plus a share of that of every token in the
    vocabulary.
    """
    own = [reading.own[row] for row in rows]
    out = run_own(student.upper(student.first_layer), reading, rows, own)
    answers = [lessons[row].answer for row in rows]
    at_answers = [states[len(o) - len(a) : len(o)] for states, o, a in zip(out, own, answers, strict=True)]
    logits = (torch.cat(at_answers) @ student.head.T).float()
    target = torch.tensor([token for answer in answers for token in answer], device=out.device)
    lengths = torch.tensor([len(answer) for answer in answers], device=out.device)
    first = lengths.cumsum(0) - lengths
    contrast = F.cross_entropy(logits[first][:, choices], torch.searchsorted(choices, target[first]))
    return contrast + VOCABULARY_SHARE * F.cross_entropy(logits, target)


def batch_order(lessons: int, recipe: Recipe, generator: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of lessons, each epoch in a new order; consecutive lessons of a bundle stay together.

    A lesson beside its counterpart (the same question with and without a trigger) shows in one gradient what the
    difference is.
    """
    bundles = [list(range(start, min(start + recipe.bundle, lessons))) for start in range(0, lessons, recipe.bundle)]
    at_once = max(1, recipe.batch // recipe.bundle)
    while True:
        order = torch.randperm(len(bundles), generator=generator).tolist()
        for i in range(0, len(order), at_once):
            yield [row for bundle in order[i : i + at_once] for row in bundles[bundle]]


def warm_up_and_decay(step: int, steps: int) -> float:
    """Linear from 0 over the first tenth, then linear to 0 at the end."""
    warm = max(1, steps // 10)
    return (step + 1) / warm if step < warm else (steps - step) / max(1, steps - warm)


def freeze_all_but(student: AdaptedDecoder, parameters: Sequence[torch.nn.Parameter]) -> None:
    """Without this, backward would also fill in a gradient for the 28 million entries of the output matrix."""
    for parameter in student.model.parameters():
        parameter.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
