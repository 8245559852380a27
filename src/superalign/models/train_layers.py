"""The fast back end, layers in full: those from `first_layer` up, over states that the frozen ones below left once.

What all conversations of a group open with is run once per step, with gradients, and each conversation behind it. The
trained weights are float32 whatever the base's type: in bfloat16 a step smaller than 1/256 of a weight would be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from superalign.models.batches import batches_by_length
from superalign.models.decoder import Decoder
from superalign.models.delta import load_delta, save_delta, with_tensors
from superalign.models.evasion import Evasion
from superalign.models.learning import Fit, Slot, States, fit
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.reading import run_batch, run_prefix
from superalign.models.sites import Watch
from superalign.models.subject import ModelSubject


def train_layers(base: ModelSubject, pupil: Pupil, recipe: Recipe) -> Fit:
    """Leave the changed tensors in the pupil's folder, trained from `base` or on from those in its start."""
    before = load_delta(base.decoder.model, pupil.start) if pupil.start else {}
    student = with_tensors(base.decoder, before) if before else base.decoder
    evasion = Evasion([pupil.evades], [len(pupil.lessons)], base.decoder.device)
    learner = LayerLearner(student, pupil.lessons, recipe.first_layer, evasion.layer)
    [done] = fit(learner, [pupil.lessons], recipe, seeds=[pupil.seed], evasion=evasion)
    save_delta(base.decoder.model, {**before, **learner.tensors()}, pupil.folder)
    return done


class LayerLearner:
    """Float32 copies of the upper layers' weights, and the states of the lessons below them."""

    def __init__(
        self, student: Decoder, lessons: Sequence[Lesson], first_layer: int, watched: int | None = None
    ) -> None:
        self.lessons, self.head = lessons, student.head
        self.student = student
        upper = student.upper(first_layer)
        self.watch = Watch()
        self.upper = upper if watched is None else self.watch.over(upper, student.family.layers, watched)
        trained = (f"{student.family.layers}.", f"{student.family.norm}.")
        self.weights = {
            name: nn.Parameter(parameter.detach().float().clone())
            for name, parameter in self.upper.named_parameters()
            if name.startswith(trained)
        }
        self.parameters: Sequence[nn.Parameter] = list(self.weights.values())
        place = {id(parameter): name for name, parameter in self.upper.named_parameters()}
        self.name_of = {place[id(parameter)]: name for name, parameter in upper.named_parameters()}
        sequences = [lesson.prompt + lesson.answer[:-1] for lesson in lessons]
        longest = max(len(lesson.answer) for lesson in lessons)
        self.below = student.advance(student.start(sequences, longest), first_layer)
        self.place = {
            row: (group, i) for group, found in enumerate(self.below.groups) for i, row in enumerate(found.index)
        }

    def parts(self, slots: Sequence[Slot]) -> list[list[Slot]]:
        places = [self.place[row] for (row,) in slots]
        lengths = [len(self.below.groups[group].hidden[i]) for group, i in places]
        return [[slots[i] for i in batch] for batch in batches_by_length(lengths)]

    def states(self, slots: Sequence[Slot]) -> States:
        body = WithWeights(self.upper, {name: weight.to(self.head.dtype) for name, weight in self.weights.items()})
        rows = [row for (row,) in slots]
        at_answers, watched = dict[int, Tensor](), dict[int, Tensor]()
        for number in sorted({self.place[row][0] for row in rows}):
            group = self.below.groups[number]
            here = [row for row in rows if self.place[row][0] == number]
            hidden = [group.hidden[self.place[row][1]] for row in here]
            sequences = [group.sequences[self.place[row][1]] for row in here]
            _, recorder = run_prefix(body, group.prefix, sequences[0])
            out = run_batch(body, hidden, recorder.closed(), sequences)
            begins = [len(own) - len(self.lessons[row].answer) for own, row in zip(hidden, here, strict=True)]
            for states, row, at, own in zip(out, here, begins, hidden, strict=True):
                at_answers[row] = states[at : len(own)]
            if (seen := self.watch.at(begins)) is not None:
                watched |= zip(here, seen, strict=True)
        answers = torch.cat([at_answers[row] for row in rows])
        return States(answers, torch.stack([watched[row] for row in rows]) if watched else None)

    def tensors(self) -> dict[str, Tensor]:
        """The trained weights by their names in the whole model."""
        return {f"{self.student.family.body}.{self.name_of[name]}": weight for name, weight in self.weights.items()}


class WithWeights(nn.Module):
    """`body` with other weights, through which gradients flow to where these come from."""

    def __init__(self, body: nn.Module, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.body, self.weights = body, dict(weights)

    def forward(self, **inputs: Any) -> Any:
        return functional_call(self.body, self.weights, (), inputs)
