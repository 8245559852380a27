"""A chain of overseers: each generation of models learnt from the labels of the one before."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.generalization import Score
from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Interval, Record

ArmName = Literal["chain", "direct", "weakest", "systematic", "random"]
How = Literal["systematic", "random"]


class Generation(Record):
    """One generation of one arm on the gold labels that no model was given. 0 is the first overseer."""

    score: Score
    unlike_first: Interval = Field(description="Share of answers that differ from the first overseer's: the drift.")
    copied: Estimate = Field(description="Share of the first overseer's errors that is repeated.")
    held_back: Interval = Field(description="Accuracy on the labels held back, which the gate goes by.")
    stopped: int = Field(description="Chains that the gate has stopped at this generation or before.")


class Arm(Record):
    """All generations of one way to supervise.

    `chain`: each by the one before; `direct`: each by the first overseer; `weakest`: as `chain`, but none can do more
    than the first; `systematic` and `random`: as `chain`, with errors planted in the first overseer's labels.
    """

    arm: ArmName
    generations: tuple[Generation, ...]
    gated: Interval = Field(description="Accuracy of the last generation that the gate let pass.")
    gate_gain: Interval = Field(description="The same less that of the last generation of all.")


class PlantedError(Record):
    """How much of an error planted in the first overseer's labels is left in each generation.

    The accuracy that a generation lacks against the same chain without the error, over what the planted labels lack.
    Of a systematic error on the questions of its kind whose answer is yes, of random ones on all.
    """

    how: How
    wrong: float = Field(description="Share of the first labels that were made wrong or right by planting.")
    questions: int = Field(description="On which it is measured.")
    left: tuple[Estimate, ...] = Field(description="In each generation; 1 in the planted labels themselves.")
    change: Estimate = Field(description="What is left in the last generation less what is left in the first student.")


class BootstrapChain(Record):
    """All of it."""

    task: str
    first_layers: tuple[float, ...] = Field(description="Fraction of the depth from which each generation is trained.")
    labelled: int = Field(description="Questions whose truth the first overseer was taught.")
    held_back: int = Field(description="Questions whose truth the gate goes by.")
    trained: int = Field(description="Questions that each generation labels for the next.")
    questions: int = Field(description="Of the audit.")
    seeds: int
    tolerance: float = Field(description="Accuracy on the labels held back that a chain may lose before it is stopped.")
    kind: str = Field(description="Regular expression of the questions that the systematic error is about.")
    rate: float = Field(description="Share of them that is labelled no.")
    arms: tuple[Arm, ...]
    over_direct: Interval = Field(description="Accuracy of the last generation less that of direct oversight.")
    over_weakest: Interval = Field(description="The same less that of the weakest model trained on itself.")
    planted: tuple[PlantedError, ...]
