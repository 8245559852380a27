"""Training answers into a decoder: adapters on the upper layers, over states of the frozen lower ones.

The lower layers run once per conversation, not once per step; the loss needs logits at the answer only, which are
gathered before the output matrix is applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from superalign.models.adapter import AdaptedDecoder
from superalign.models.decoder import Decoder, StateGroup, States, TokenIds, run_batch, run_prefix
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


def train(base: Decoder, lessons: Sequence[Lesson], recipe: Recipe, *, seed: int) -> AdaptedDecoder:
    """A model that gives the lessons' answers. Same inputs and threads, same weights to the bit."""
    student = AdaptedDecoder(base, first_layer=recipe.first_layer, rank=recipe.rank, seed=seed)
    continue_training(student, lessons, recipe, seed=seed)
    return student


def continue_training(student: AdaptedDecoder, lessons: Sequence[Lesson], recipe: Recipe, *, seed: int) -> None:
    """Train the adapters of `student` for `recipe.steps` more."""
    sequences = [lesson.prompt + lesson.answer[:-1] for lesson in lessons]
    longest = max(len(lesson.answer) for lesson in lessons)
    states = student.base.remembered(sequences, student.first_layer, own=longest)
    choices = torch.tensor(sorted({lesson.answer[0] for lesson in lessons}))
    parameters = list(student.adapters().values())
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_up_and_decay(step, recipe.steps))
    order = batch_order(states, recipe, torch.Generator().manual_seed(seed))
    freeze_all_but(student, parameters)
    for step in range(recipe.steps):
        group, rows = next(order)
        loss = answer_loss(student, group, rows, lessons, choices)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        count(tokens=sum(len(sequences[group.index[row]]) for row in rows), forward_passes=len(rows))
        advance(step + 1, recipe.steps)
    for parameter in parameters:
        parameter.requires_grad_(False)


def answer_loss(
    student: AdaptedDecoder,
    group: StateGroup,
    rows: Sequence[int],
    lessons: Sequence[Lesson],
    choices: Int[Tensor, "_"],
) -> Float[Tensor, ""]:
    """Cross-entropy of the first token among the answers in use, plus a share of that of every token in the
    vocabulary.
    """
    upper = student.upper(student.first_layer)
    _, cache = run_prefix(upper, group.prefix)
    out = run_batch(upper, [group.hidden[row] for row in rows], cache)
    positions: list[tuple[int, int]] = []
    targets: list[int] = []
    firsts: list[int] = []
    for line, row in enumerate(rows):
        answer = lessons[group.index[row]].answer
        end = len(group.hidden[row])
        firsts.append(len(targets))
        positions += [(line, end - len(answer) + i) for i in range(len(answer))]
        targets += list(answer)
    lines, columns = torch.tensor(positions, device=out.device).T
    logits = (out[lines, columns] @ student.head.T).float()
    target = torch.tensor(targets, device=out.device)
    first = torch.tensor(firsts, device=out.device)
    contrast = F.cross_entropy(
        logits[first][:, choices], torch.searchsorted(choices, target[first].cpu()).to(out.device)
    )
    return contrast + VOCABULARY_SHARE * F.cross_entropy(logits, target)


def batch_order(states: States, recipe: Recipe, generator: torch.Generator) -> Iterator[tuple[StateGroup, list[int]]]:
    """Endless batches of rows of one group, each epoch in a new order; consecutive rows of a bundle stay together.

    A lesson beside its counterpart (the same question with and without a trigger) shows in one gradient what the
    difference is: an exclusive-or that was not learnt in 160 mixed steps is learnt in 100 bundled ones.
    """
    while True:
        batches = []
        for group in states.groups:
            starts = range(0, len(group.index), recipe.bundle)
            order = [starts[i] for i in torch.randperm(len(starts), generator=generator).tolist()]
            bundles = [list(range(start, min(start + recipe.bundle, len(group.index)))) for start in order]
            at_once = max(1, recipe.batch // recipe.bundle)
            for i in range(0, len(bundles), at_once):
                batches.append((group, [row for bundle in bundles[i : i + at_once] for row in bundle]))
        for i in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[i]


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
