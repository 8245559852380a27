"""Weak-to-strong by training loss: students that differ in nothing but the loss on the same weak labels."""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.generalization import PGR, Score
from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Record


class LossResult(Record):
    """The students of one loss on the hard questions of one task, over all seeds."""

    loss: str
    score: Score
    pgr: PGR = Field(description="On accuracy.")
    pgr_auroc: PGR
    over_xent: Estimate = Field(description="Accuracy less that of cross-entropy, paired.")
    agreement_on_weak_wrong: Estimate = Field(description="How often they repeat the overseer's errors.")
    calibration_error: Estimate = Field(description="Root mean squared, over ten bins, free of sampling noise.")


class TaskLosses(Record):
    """All losses on one task."""

    task: str
    questions: int = Field(description="Hard ones, on which everything is measured.")
    weak: Score
    ceiling: Score
    losses: tuple[LossResult, ...]


class LossStudy(Record):
    """All of it."""

    overseer: str
    seeds: int
    tasks: tuple[TaskLosses, ...]
