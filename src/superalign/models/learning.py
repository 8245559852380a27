"""The loop that every back end of this process trains with: batches, loss, schedule, memory, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record
from superalign.models.evasion import Evasion
from superalign.models.label_loss import LabelLosses
from superalign.models.lessons import Lesson, Recipe, Watched, batch_order, split
from superalign.models.memory import Halving
from superalign.runs.cost import count
from superalign.runs.progress import advance

# The share of the loss on the whole vocabulary. The rest contrasts the answers in use: with the whole-vocabulary loss
# alone, the first tens of steps go into "answer with one word" and the labels are learnt late (AUROC 0.85 against
# 0.88 after 50 steps).
VOCABULARY_SHARE = 0.2
CHECK_EVERY = 10  # steps between two looks at the lessons held out
CURVE_POINTS = 20

StoppedBy = Literal["budget", "held-out loss", "held-out disagreement"]
STOPPED_BY: dict[Watched, StoppedBy] = {"loss": "held-out loss", "disagreement": "held-out disagreement"}


# One lesson of each model that is trained, by its row among all lessons.
Slot = tuple[int, ...]


class Learner(Protocol):
    """What the loop trains: the tensors of one model, or of several at once, and what they make of lessons.

    Tensors of several models stand in one, the first axis for the model.
    """

    parameters: Sequence[nn.Parameter]
    head: Float[Tensor, "vocabulary width"]

    def parts(self, slots: Sequence[Slot]) -> list[list[Slot]]:
        """`slots` in parts that are best run one after another."""
        ...

    def states(self, slots: Sequence[Slot]) -> States:
        """Of all lessons: one model after another, each in the order of `slots`."""
        ...


class States(NamedTuple):
    """What the output matrix is given at the tokens of answers; and, if a layer is watched, what is there after it
    where each answer begins.
    """

    answers: Float[Tensor, "answer_tokens width"]
    watched: Float[Tensor, "lessons width"] | None = None


class CurvePoint(Record):
    """The mean training loss since the point before, up to `step`, and what is watched of the lessons held out, if any
    were looked at then.
    """

    step: int
    loss: float | None
    held_out: float | None = None


class Fit(Record):
    """How a training went."""

    steps: int
    kept_step: int
    stopped_by: StoppedBy
    curve: tuple[CurvePoint, ...]
    held_out: int
    split_for_memory: bool


def fit(
    learner: Learner,
    lessons: Sequence[Sequence[Lesson]],
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    evasion: Evasion | None = None,
    label_losses: LabelLosses | None = None,
) -> list[Fit]:
    """Train for `recipe.steps`, or until what is watched of held-out lessons falls no more: one model, or several
    at once, each with lessons and a seed of its own, with `evasion` a probe to evade, with `label_losses` another
    target than its labels. Same inputs and threads, same weights to the bit.

    InputError when not even one lesson fits into memory, or models can't be trained together.
    """
    taught, held_out = divided(lessons, recipe, seeds)
    orders = [batch_order(len(rows), recipe, seed=seed) for rows, seed in zip(taught, seeds, strict=True)]
    parameters = list(learner.parameters)
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_up_and_decay(step, recipe.steps))
    loss, curve = Loss(learner, lessons, evasion, label_losses), Curve(recipe.steps)
    if label_losses is not None and label_losses.compares:
        loss.remember(label_losses, recipe.batch)
    best = Best(parameters, recipe.patience) if recipe.patience is not None else None
    watch = {"loss": loss.measured, "disagreement": loss.disagreement}[recipe.watched]
    if best is not None:
        curve.add(0, None, best.look(0, watch(held_out)))
    step = 0
    while step < recipe.steps and not (best is not None and best.exhausted(step)):
        picked = zip(taught, map(next, orders), strict=True)
        if label_losses is not None:
            label_losses.fraction = step / recipe.steps
        slots = list(zip(*([own[i] for i in batch] for own, batch in picked), strict=True))
        now = loss.with_gradients(slots)
        clip_gradients(parameters, len(lessons))
        optimizer.step()
        schedule.step()
        step += 1
        count(tokens=sum(loss.lengths[row] for slot in slots for row in slot), forward_passes=len(slots) * len(lessons))
        advance(step, recipe.steps)
        due = best is not None and (step % CHECK_EVERY == 0 or step == recipe.steps)
        curve.add(step, now, best.look(step, watch(held_out)) if best is not None and due else None)
    if best is not None:
        best.restore()
    return [
        Fit(
            steps=step,
            kept_step=step if best is None else best.step,
            stopped_by="budget" if step == recipe.steps else STOPPED_BY[recipe.watched],
            curve=tuple(points),
            held_out=len(held_out),
            split_for_memory=loss.halving.largest < math.inf,
        )
        for points in curve.points(len(lessons))
    ]


def divided(
    lessons: Sequence[Sequence[Lesson]], recipe: Recipe, seeds: Sequence[int]
) -> tuple[list[list[int]], list[Slot]]:
    """For each model the rows among all lessons that it is trained on; and those held out."""
    if len(lessons) > 1 and not can_join(lessons, recipe):
        raise InputError(
            "Models are trained together on equally many lessons each, for a fixed number of steps.",
            fix="Train them one by one.",
        )
    taught, held_out, first = [], list[Slot](), 0
    for own, seed in zip(lessons, seeds, strict=True):
        rows, kept = split(own, recipe, seed=seed)
        taught.append([first + row for row in rows])
        held_out += [(first + row,) for row in kept]
        first += len(own)
    return taught, held_out


def can_join(lessons: Sequence[Sequence[Lesson]], recipe: Recipe) -> bool:
    """Whether models with these lessons can be trained together: every batch must be as large for each. With a bundle
    cut short at the end, it is not: which batch has that one hangs on the seed.
    """
    counts = set(map(len, lessons))
    return recipe.patience is None and len(counts) == 1 and all(count % recipe.bundle == 0 for count in counts)


@torch.no_grad()
def clip_gradients(parameters: Sequence[nn.Parameter], models: int) -> None:
    """Scale the gradients of each model down to a norm of 1 over all its tensors."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norms = torch.stack([gradient.view(models, -1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    scale = (1 / (norms + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient *= scale.view(-1, *(1,) * (gradient.ndim - 1))


class Loss:
    """The loss of a batch and its gradients, in as many parts as memory asks for; parts are weighted such that both are
    those of the whole batch. The loss of several models is the sum of theirs.
    """

    def __init__(
        self,
        learner: Learner,
        lessons: Sequence[Sequence[Lesson]],
        evasion: Evasion | None = None,
        label_losses: LabelLosses | None = None,
    ) -> None:
        self.learner, self.evasion, self.label_losses = learner, evasion, label_losses
        self.lessons = [lesson for own in lessons for lesson in own]
        self.lengths = [len(lesson.prompt) + len(lesson.answer) - 1 for lesson in self.lessons]
        self.halving = Halving()
        in_use = [{lesson.answer[0] for lesson in own} for own in lessons]
        choices = sorted(set().union(*in_use))
        device = learner.head.device
        self.choices = torch.tensor(choices, device=device)
        self.choice_head = learner.head[self.choices]
        unused = [[choice not in own for choice in choices] for own in in_use]
        self.unused = torch.tensor(unused, device=device)

    def with_gradients(self, slots: Sequence[Slot]) -> Float[Tensor, " models"]:
        """The loss of `slots`, of each model; its gradients take the place of those before."""
        for parameter in self.learner.parameters:
            parameter.grad = None
        return self._summed(slots, self._add_gradients)

    @torch.no_grad()
    def measured(self, slots: Sequence[Slot]) -> float:
        """The loss of `slots`, without gradients."""
        return float(self._summed(slots, lambda loss: None).sum())

    @torch.no_grad()
    def disagreement(self, slots: Sequence[Slot]) -> float:
        """The share of `slots`, of one model, where another of the answers in use is likelier than the label, by first
        tokens: what is missing from student-supervisor agreement (Burns et al. 2023, arXiv 2312.09390, section 5.1).
        """

        def wrong(part: Sequence[Slot]) -> Tensor:
            answers = [self.lessons[row].answer for (row,) in part]
            lengths = torch.tensor([len(answer) for answer in answers], device=self.choices.device)
            label = torch.tensor([answer[0] for answer in answers], device=self.choices.device)
            states = self.learner.states(part).answers[lengths.cumsum(0) - lengths]
            return (self.choices[(states @ self.choice_head.T).argmax(1)] != label).sum()

        return int(self._over_parts(slots, wrong)) / len(slots)

    @torch.no_grad()
    def remember(self, label_losses: LabelLosses, batch: int) -> None:
        """Tell `label_losses` how the models lean on all of their lessons, as they are now."""
        each = len(self.lessons) // label_losses.models
        slots = [tuple(range(place, len(self.lessons), each)) for place in range(each)]

        def run(places: list[int]) -> None:
            part = [slots[place] for place in places]
            rows = [row for own in zip(*part, strict=True) for row in own]
            ends = torch.tensor([len(self.lessons[row].answer) for row in rows], device=self.choices.device).cumsum(0)
            first = torch.cat([ends.new_zeros(1), ends[:-1]])
            logits = (self.learner.states(part).answers[first] @ self.choice_head.T).float()
            label_losses.remember(logits, torch.tensor(rows, device=first.device))

        parts = [list(range(start, min(start + batch, each))) for start in range(0, each, batch)]
        for _ in self.halving.run(parts, run, [sum(self.lengths[row] for row in slot) for slot in slots]):
            pass
        count(tokens=sum(self.lengths), forward_passes=len(self.lengths))

    def _summed(self, slots: Sequence[Slot], use: Callable[[Tensor], None]) -> Tensor:
        # One model's answers differ in length; what each has to the mean loss of a token is told by all of the batch.
        tokens = [sum(len(self.lessons[row].answer) for row in rows) for rows in zip(*slots, strict=True)]

        def run(part: Sequence[Slot]) -> Tensor:
            losses = self.of_part(part, len(slots), tokens)
            use(losses.sum())
            return losses.detach()

        return self._over_parts(slots, run)

    def _over_parts(self, slots: Sequence[Slot], run: Callable[[Sequence[Slot]], Tensor]) -> Tensor:
        """What `run` makes of parts that fit into memory, added up."""
        place_of = {slot: place for place, slot in enumerate(slots)}
        parts = [[place_of[slot] for slot in part] for part in self.learner.parts(slots)]
        lengths = [sum(self.lengths[row] for row in slot) for slot in slots]
        found = self.halving.run(parts, lambda places: run([slots[place] for place in places]), lengths)
        return torch.stack([own for _, own in found]).sum(0)

    def _add_gradients(self, loss: Tensor) -> None:
        """All of them or, when memory runs out on the way, none: the part is then run again in halves."""
        parameters = self.learner.parameters
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                gradient = gradient.contiguous()  # the fused optimizer reads it as the parameter lies in memory
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

    def of_part(self, part: Sequence[Slot], rows: int, tokens: Sequence[int]) -> Float[Tensor, " models"]:
        """What `part` adds to each model's loss in a batch of so many rows and answer tokens of each: cross-entropy of
        the first token among the answers in use, plus a share of that of every token in the vocabulary; what another
        target than the labels changes in both; and what it costs to be read by a probe.
        """
        states, watched = self.learner.states(part)
        answers = [self.lessons[row].answer for own in zip(*part, strict=True) for row in own]
        target = torch.tensor([token for answer in answers for token in answer], device=states.device)
        lengths = torch.tensor([len(answer) for answer in answers], device=states.device)
        first = lengths.cumsum(0) - lengths
        model = torch.arange(len(tokens), device=states.device).repeat_interleave(len(part))
        choice, logits = torch.searchsorted(self.choices, target[first]), (states[first] @ self.choice_head.T).float()
        possible = logits.masked_fill(self.unused[model], -torch.inf)
        contrast = F.cross_entropy(possible, choice, reduction="none") / rows
        weight = torch.tensor([VOCABULARY_SHARE / of_model for of_model in tokens], device=states.device)
        model_of_token = model.repeat_interleave(lengths)
        whole = F.cross_entropy((states @ self.learner.head.T).float(), target, reduction="none")
        row = torch.tensor([row for own in zip(*part, strict=True) for row in own], device=states.device)
        if self.label_losses:
            softened = self.label_losses.beyond_labels(logits, choice, row)
            contrast, whole = contrast + softened / rows, whole.index_add(0, first, softened)
            weight = weight * self.label_losses.vocabulary
        if self.evasion and watched is not None:
            contrast = contrast + self.evasion.penalty(watched, model, row) / rows
        found = contrast.new_zeros(len(tokens)).index_add(0, model, contrast)
        return found.index_add(0, model_of_token, whole * weight[model_of_token])


class Curve:
    """The mean loss over each of a few stretches of the training, without waiting for the device in between."""

    def __init__(self, steps: int) -> None:
        self._every = -(-steps // CURVE_POINTS)
        self._steps, self._since = steps, list[Tensor]()
        self._found: list[tuple[int, Tensor | None, float | None]] = []

    def add(self, step: int, losses: Float[Tensor, " models"] | None, held_out: float | None) -> None:
        self._since += [] if losses is None else [losses]
        if step % self._every == 0 or step == self._steps or held_out is not None:
            mean = torch.stack(self._since).mean(0) if self._since else None
            self._found.append((step, mean, held_out))
            self._since.clear()

    def points(self, models: int) -> list[list[CurvePoint]]:
        """The curve of each model."""
        return [
            [
                CurvePoint(step=step, loss=None if losses is None else float(losses[model]), held_out=held_out)
                for step, losses, held_out in self._found
            ]
            for model in range(models)
        ]


class Best:
    """The weights with the lowest value of what is watched of the lessons held out, the earliest of equals."""

    def __init__(self, parameters: Sequence[nn.Parameter], patience: int) -> None:
        self.step = 0
        self._parameters, self._patience = parameters, patience
        self._lowest, self._weights = float("inf"), list[Tensor]()
        self._looked = 0

    def look(self, step: int, value: float) -> float:
        """Take in the value after `step`, and the weights if it is the lowest; returns it."""
        self._looked = step
        if value < self._lowest:
            self._lowest, self.step = value, step
            self._weights = [parameter.detach().clone() for parameter in self._parameters]
        return value

    def exhausted(self, step: int) -> bool:
        return self._looked == step and step - self.step >= self._patience

    @torch.no_grad()
    def restore(self) -> None:
        for parameter, weight in zip(self._parameters, self._weights, strict=True):
            parameter.copy_(weight)


def warm_up_and_decay(step: int, steps: int) -> float:
    """Linear from 0 over the first tenth, then linear to 0 at the end."""
    warm = max(1, steps // 10)
    return (step + 1) / warm if step < warm else (steps - step) / max(1, steps - warm)
