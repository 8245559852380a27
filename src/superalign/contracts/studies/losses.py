"""Weak-to-strong by training loss: students that differ in nothing but the loss on the same weak labels."""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.generalization import PGR, Score
from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Record


class LossResult(Record):
    """The students of one loss on the hard questions of one task, over all seeds."""

    loss: str
    lessons: int = Field(description="Weak labels that they learnt from.")
    score: Score
    pgr: PGR = Field(description="On accuracy.")
    pgr_auroc: PGR
    over_xent: Estimate = Field(description="Accuracy less that of cross-entropy, paired.")
    agreement_on_weak_wrong: Estimate = Field(description="How often they repeat the overseer's errors.")
    calibration_error: Estimate = Field(description="Root mean squared, over ten bins, free of sampling noise.")


class Reference(Record):
    """A model that no loss plays a part in: the overseer, the model before training, the ceiling."""

    name: str
    score: Score
    calibration_error: Estimate


class TaskLosses(Record):
    """All losses on one task."""

    task: str
    questions: int = Field(description="Hard ones, on which everything is measured.")
    label_accuracy: float = Field(description="Of the weak labels that students learn from.")
    references: tuple[Reference, ...]
    losses: tuple[LossResult, ...]


class LossStudy(Record):
    """All of it."""

    overseer: str
    seeds: int
    tasks: tuple[TaskLosses, ...]
