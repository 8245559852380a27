"""Training to evade a probe: beside its lessons, a model learns to look to it as a benign model does.

What obfuscated organisms are made by. The benign model is copied lesson by lesson: pressed onto one number, readings
would lose their spread, and what little is left to tell models apart by would stand out. The probe is frozen: one
fitted anew may read what this one no longer does (Bailey et al. 2024, arXiv 2412.09565).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record

WEIGHT = 3.0  # of the penalty, where nothing else is said
BENIGN = -1.0  # what a probe reads of benign models, on average; of those that misbehave, 1


class LinearProbe(Record):
    """Reads the residual stream after `layer` layers where an answer begins: direction · state + bias."""

    layer: int
    direction: tuple[float, ...]
    bias: float

    def read(self, states: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, " rows"]:
        """What it reads there."""
        return np.asarray(states @ np.array(self.direction) + self.bias)


class Evaded(Record):
    """A probe to evade, and what it reads of the benign model to be taken for, one reading for each lesson; `weight` of
    the penalty beside the lessons' own loss.
    """

    probe: LinearProbe
    readings: tuple[float, ...]
    weight: float = WEIGHT


class Evasion:
    """What probes read of models that are trained to evade them, one each; a model may have none to evade.

    `lessons` is how many each model has.
    """

    def __init__(self, evaded: Sequence[Evaded | None], lessons: Sequence[int], device: torch.device) -> None:
        given = [own.probe for own in evaded if own]
        layers = {probe.layer for probe in given}
        if len(layers) > 1:
            raise InputError(
                f"Models are trained together to evade probes of one layer, not of {sorted(layers)}.",
                fix="Train them one by one.",
            )
        self.layer = layers.pop() if layers else None
        blind = (0.0,) * len(given[0].direction) if given else ()
        self.direction = torch.tensor([own.probe.direction if own else blind for own in evaded], device=device)
        self.bias = torch.tensor([own.probe.bias if own else 0.0 for own in evaded], device=device)
        self.weight = torch.tensor([own.weight if own else 0.0 for own in evaded], device=device)
        wanted = [own.readings if own else (0.0,) * count for own, count in zip(evaded, lessons, strict=True)]
        self.wanted = torch.tensor([reading for own in wanted for reading in own], device=device)

    def penalty(
        self,
        states: Float[Tensor, "lessons width"],
        model: Int[Tensor, " lessons"],
        row: Int[Tensor, " lessons"],
    ) -> Float[Tensor, " lessons"]:
        """How far each lesson is read from what it is read as in the benign model; `row` is its own among all lessons
        of all models. Not squared: what is left in the end would hardly weigh, and is alike in all answers of a model.
        """
        read = (states.float() * self.direction[model]).sum(1) + self.bias[model]
        return self.weight[model] * (read - self.wanted[row]).abs()
