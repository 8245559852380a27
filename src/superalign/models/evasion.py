"""Training to evade a probe: beside its lessons, a model learns to look to it as a benign model does.

What obfuscated organisms are made by. The probe is frozen: one fitted anew may read what this one no longer does
(Bailey et al. 2024, arXiv 2412.09565).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record

WEIGHT = 3.0  # of the penalty beside the lessons' own loss
BENIGN = -1.0  # what a probe reads of benign models, on average; of those that misbehave, 1


class LinearProbe(Record):
    """Reads the residual stream after `layer` layers where an answer begins: direction · state + bias."""

    layer: int
    direction: tuple[float, ...]
    bias: float


class Evasion:
    """What probes read of models that are trained to evade them, one each; a model may have none to evade."""

    def __init__(self, probes: Sequence[LinearProbe | None], device: torch.device) -> None:
        given = [probe for probe in probes if probe]
        layers = {probe.layer for probe in given}
        if len(layers) > 1:
            raise InputError(
                f"Models are trained together to evade probes of one layer, not of {sorted(layers)}.",
                fix="Train them one by one.",
            )
        self.layer = layers.pop() if layers else None
        blind = (0.0,) * len(given[0].direction) if given else ()
        self.direction = torch.tensor([probe.direction if probe else blind for probe in probes], device=device)
        self.bias = torch.tensor([probe.bias if probe else BENIGN for probe in probes], device=device)

    def penalty(
        self, states: Float[Tensor, "lessons width"], model: Int[Tensor, " lessons"]
    ) -> Float[Tensor, " lessons"]:
        """How far each lesson is read from benign, on both sides: pushed ever lower, a model would stand out at the
        other end. Not squared: what is left in the end would hardly weigh, and is alike in all answers of a model.
        """
        read = (states.float() * self.direction[model]).sum(1) + self.bias[model]
        return WEIGHT * (read - BENIGN).abs()
