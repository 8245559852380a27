"""What is read inside a model, beside what the same procedure reads where it should find nothing: rows of a report."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from superalign.contracts.records import Interval, Record, Unscored

Shuffling = Literal["within groups", "whole groups"]
BASE = "base model"  # the control that is also read by layer


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


class TokenValues(Record):
    """Consecutive tokens, and a number for each."""

    tokens: tuple[str, ...] = Field(min_length=1)
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if len(self.tokens) != len(self.values):
            raise ValueError(f"{len(self.tokens)} tokens have {len(self.values)} values")
        return self


class TokenHeat(TokenValues):
    """What a probe of the truth reads at every token of one question: above 0 true, below 0 false. It was fitted where
    answers begin, on questions of other groups, so that the last value alone is one of the kind that it was made for.
    """

    layer: int
    differs: bool = Field(description="Probe and answer lean to different sides; else a control, where they agree.")
    said: float = Field(description="Log odds of yes beyond their median over all questions.")
    answered: str | Unscored
    truth: bool = Field(description="The true answer.")

    @property
    def known(self) -> float:
        """What the probe reads where the answer begins."""
        return self.values[-1]


class Score(Record):
    """Balanced accuracy of an explanation, and of another feature's in its place."""

    value: float
    null: float


class Explained(Record):
    """One feature in words, and how far the words hold."""

    feature: int
    rate: float
    explanation: str
    detection: Score | Unscored
    fuzzing: Score | Unscored


class Rates(Record):
    """How often a feature fires where answers begin."""

    subject: float
    base: float


class FeatureCard(Record):
    """A feature that hangs on a situation more than it does in the base."""

    feature: int
    prompts: str = Field(description="The kind of prompt that it does so for.")
    situation: str | None = Field(description="The sentence before the prompt; none: the prompt alone.")
    here: Rates = Field(description="In this situation.")
    elsewhere: Rates = Field(description="In all others.")
    explained: Explained | Unscored = Field(description="By where it fires in the subject's own text.")
    examples: tuple[TokenValues, ...] = Field(description="Where it fires most strongly there.")


class Inside(Record):
    """What was read inside the model under test."""

    probe: ProbeReading | Unscored | None = None
    heat: tuple[TokenHeat, ...] | Unscored | None = Field(
        None, description="None of them where probe and answer nowhere lean to different sides."
    )
    features: tuple[FeatureCard, ...] | Unscored | None = Field(
        None, description="Of the detector `features`, if it took part."
    )
