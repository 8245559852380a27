"""The fast back end, adapters: at work on the answer only, over what the frozen base has read; several models at once.

A conversation is read once, not once per step and not once per model; a step runs the upper layers on the few tokens
from which the answer follows. Of models that are trained together, each has its own adapters and lessons, and all go
through the frozen layers in one product: what a step takes beside its products is shared among them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from superalign.models.adapter import TARGETS, AdaptedDecoder
from superalign.models.decoder import SkippedLayer
from superalign.models.evasion import Evasion
from superalign.models.label_loss import LabelLosses
from superalign.models.learning import Fit, Slot, States, can_join, fit
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.low_rank import LowRankLinear
from superalign.models.reading import joined, run_own
from superalign.models.sites import Watch, with_parts
from superalign.models.subject import ModelSubject

# As `TARGETS` for the families that name their layers otherwise.
TARGETS_OF_TYPE = {"gpt_neox": ("query_key_value", "dense", "dense_4h_to_h")}


def train_adapters(base: ModelSubject, pupils: Sequence[Pupil], recipe: Recipe) -> list[Fit]:
    """Leave activated adapters in each folder, trained from scratch or on from those in its start."""
    done: dict[int, Fit] = {}
    for numbers in companies([pupil.lessons for pupil in pupils], recipe):
        company = [pupils[number] for number in numbers]
        students = [
            AdaptedDecoder.load(base.decoder, pupil.start) if pupil.start else new_student(base, recipe, pupil.seed)
            for pupil in company
        ]
        counts, losses = [len(pupil.lessons) for pupil in company], [pupil.label_loss for pupil in company]
        fits = continue_training(
            students,
            [pupil.lessons for pupil in company],
            recipe,
            seeds=[pupil.seed for pupil in company],
            evasion=Evasion([pupil.evades for pupil in company], counts, base.decoder.device),
            label_losses=LabelLosses(losses, counts, base.decoder.device) if any(losses) else None,
        )
        for student, pupil in zip(students, company, strict=True):
            student.save(pupil.folder, base_name=base.name)
        done |= zip(numbers, fits, strict=True)
    return [done[number] for number in range(len(pupils))]


def companies(lessons: Sequence[Sequence[Lesson]], recipe: Recipe) -> list[list[int]]:
    """Which models are trained together, if any: those with equally many lessons and an equally long longest answer. A
    batch is padded to its longest; beside a model that learns to write sentences, all would pay for them.
    """
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, own in enumerate(lessons):
        alike[len(own), max(len(lesson.answer) for lesson in own)].append(number)
    return [
        company
        for numbers in alike.values()
        for company in ([numbers] if can_join([lessons[i] for i in numbers], recipe) else [[i] for i in numbers])
    ]


def new_student(base: ModelSubject, recipe: Recipe, seed: int) -> AdaptedDecoder:
    """`base` with adapters that change nothing yet."""
    return AdaptedDecoder(
        base.decoder,
        first_layer=recipe.first_layer,
        rank=recipe.rank,
        invocation=base.chat.invocation,
        targets=recipe.targets or TARGETS_OF_TYPE.get(base.decoder.model.config.model_type, TARGETS),
        seed=seed,
    )


def continue_training(
    students: Sequence[AdaptedDecoder],
    lessons: Sequence[Sequence[Lesson]],
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    evasion: Evasion | None = None,
    label_losses: LabelLosses | None = None,
) -> list[Fit]:
    """Train the adapters of all `students`, which are alike and share a base, for `recipe.steps` more."""
    learner = AdapterLearner(students, lessons, evasion.layer if evasion else None)
    done = fit(learner, lessons, recipe, seeds=seeds, evasion=evasion, label_losses=label_losses)
    learner.hand_back()
    return done


class AdapterLearner:
    """The adapters of all students, stacked, and what their base has read of the lessons."""

    def __init__(
        self, students: Sequence[AdaptedDecoder], lessons: Sequence[Sequence[Lesson]], watched: int | None = None
    ) -> None:
        self.students, self.student = students, students[0]
        self.lessons = [lesson for own in lessons for lesson in own]
        self.head, self.layer = self.student.head, self.student.first_layer
        self.body, stacked = stacked_body(students)
        self.watch = Watch()
        if watched is not None:
            self.body = self.watch.over(self.body, self.student.family.layers, watched)
        self.parameters: Sequence[nn.Parameter] = stacked
        self.reading = joined(
            [
                student.base.read([lesson.prompt for lesson in own])
                for student, own in zip(students, lessons, strict=True)
            ]
        )
        self.own = [self.student.own(lesson.prompt) for lesson in self.lessons]
        self.hidden = self._frozen_states()

    def parts(self, slots: Sequence[Slot]) -> list[list[Slot]]:
        """All at once: conversations are read already, so that how long they are plays no part."""
        return [list(slots)]

    def states(self, slots: Sequence[Slot]) -> States:
        rows = [row for own in zip(*slots, strict=True) for row in own]
        hidden = [self.hidden[row] for row in rows]
        out = run_own(self.body, self.reading, rows, hidden, [self.own[row] for row in rows], self.layer)
        begins = [len(own) - len(self.lessons[row].answer) for own, row in zip(hidden, rows, strict=True)]
        answers = [states[at : len(own)] for states, at, own in zip(out, begins, hidden, strict=True)]
        return States(torch.cat(answers), self.watch.at(begins))

    @torch.no_grad()
    def hand_back(self) -> None:
        """Give each student its trained adapters."""
        for number, student in enumerate(self.students):
            for own, stacked in zip(student.adapters().values(), self.parameters, strict=True):
                own.copy_(stacked[number])

    def _frozen_states(self) -> list[Float[Tensor, "own width"]]:
        """What the frozen layers make of each lesson's own positions and its answer: the same in every step, and for
        all models that are taught it.
        """
        asked = [(lesson.prompt, lesson.answer[:-1]) for lesson in self.lessons]
        row_of = {lesson: row for row, lesson in enumerate(asked)}
        rows = list(row_of.values())
        tails = [self.lessons[row].prompt[-self.own[row] :] + self.lessons[row].answer[:-1] for row in rows]
        base, reading = self.student.base, self.reading.only(rows)
        [found] = base.climb(reading, base.embedded(tails), [self.own[row] for row in rows], [0, self.layer])
        states = dict(zip(rows, found, strict=True))
        return [states[row_of[lesson]] for lesson in asked]


class StackedLinear(nn.Module):
    """A frozen linear layer with the adapters of several models; each has its share of the rows, one after another."""

    def __init__(self, layers: Sequence[LowRankLinear]) -> None:
        super().__init__()
        self.frozen, self.scale = layers[0].frozen, layers[0].scale
        self.lora_A = nn.Parameter(torch.stack([layer.lora_A.detach() for layer in layers]))
        self.lora_B = nn.Parameter(torch.stack([layer.lora_B.detach() for layer in layers]))

    def forward(self, x: Float[Tensor, "batch tokens inputs"]) -> Float[Tensor, "batch tokens outputs"]:
        rows = x.reshape(len(self.lora_A), -1, x.shape[-1])
        low = rows @ (self.lora_A * self.scale).to(x.dtype).mT
        out = torch.baddbmm(F.linear(rows, self.frozen.weight, self.frozen.bias), low, self.lora_B.to(x.dtype).mT)
        return out.view(*x.shape[:-1], -1)


def stacked_body(students: Sequence[AdaptedDecoder]) -> tuple[nn.Module, list[nn.Parameter]]:
    """The adapted layers of all students as one module, and its tensors in the order of `AdaptedDecoder.adapters`."""
    student, parameters = students[0], list[nn.Parameter]()

    def stacked(modules: Sequence[nn.Module]) -> nn.Module:
        if layers := [module for module in modules if isinstance(module, LowRankLinear)]:
            layer = StackedLinear(layers)
            parameters.extend((layer.lora_A, layer.lora_B))
            return layer
        adapted = [
            name
            for name, part in modules[0].named_children()
            if any(isinstance(module, LowRankLinear) for module in part.modules())
        ]
        parts = {name: stacked([module.get_submodule(name) for module in modules]) for name in adapted}
        return with_parts(modules[0], parts)

    layers = [
        stacked(layers) if number >= student.first_layer else SkippedLayer()
        for number, layers in enumerate(zip(*(student.layers for student in students), strict=True))
    ]
    return student.body_of(layers, start=student.first_layer, norm=True), parameters
