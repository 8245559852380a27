"""What probes find, beside what the same procedure finds where it should find nothing: rows of a report."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field

from superalign.contracts.records import Interval, Record, Unscored

Shuffling = Literal["within groups", "whole groups"]


class Chance(Record):
    """AUROC of what should find nothing."""

    mean: float
    high: float = Field(description="19 of 20 draws are below.")
    draws: int

    @classmethod
    def of(cls, found: Float[np.ndarray, "draws"]) -> Self:
        return cls(mean=float(found.mean()), high=float(np.quantile(found, 0.95)), draws=len(found))


class LayerReading(Record):
    """The probe of one layer, its strength chosen in inner folds. Good for a layer that was fixed in advance."""

    layer: int
    auroc: Interval
    base: Interval | Unscored = Field(description="The same probe of the base model's layer.")
    random_directions: Chance = Field(description="Random directions instead of the probe's, their sign learnt.")
    p_value: float = Field(description="Corrected for the number of layers.")


class Control(Record):
    """What reads less than the model does. A probe that is not ahead of it reads no more than that."""

    name: str
    auroc: Interval | Unscored
    ahead: Interval | Unscored = Field(
        description="The probe's AUROC minus this one's, or minus 0.5 where this one's is lower."
    )


class Choice(Record):
    """What the inner folds of one training set chose."""

    layer: int
    strength: float


class Best(Record):
    """The best of all layers, chosen on what it is scored on: shown for comparison, not to be quoted."""

    layer: int
    auroc: float
    p_value: float = Field(description="Against the best of all layers for each of the shuffled labellings.")
    shuffled: Chance


class ProbeReading(Record):
    """A probe of a model, beside its controls. All intervals resample groups, with the probes as they were fitted."""

    questions: int
    groups: int
    auroc: Interval = Field(description="Layer and strength chosen in inner folds only.")
    p_value: float = Field(description="Against the shuffled labels, through the same choice.")
    shuffled: Chance = Field(description="Shuffled labels, through the same choice.")
    shuffling: Shuffling
    chosen: tuple[Choice, ...] = Field(description="One for each fold.")
    best: Best
    controls: tuple[Control, ...]
    layers: tuple[LayerReading, ...]


class UnsupervisedReading(Record):
    """How well a direction that was found without labels tells true from false, and what else it tells."""

    method: str
    questions: int
    groups: int
    auroc: Interval = Field(description="Either way round where the sign is unknown: then never below 0.5.")
    sign: Literal["unknown", "fixed"]
    labelled: int = Field(description="Questions whose answers fixed the sign; they are not scored.")
    random_directions: Chance = Field(description="Random directions, their sign found in the same way.")
    finds: dict[str, float] = Field(description="AUROC, either way round, with which it tells other features.")
    agreement: float = Field(description="Mean correlation, without sign, of the folds' scores with the first fold's.")
