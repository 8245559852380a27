"""The section of a plan that names studies of generalization, each with questions of its own."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from superalign.contracts.records import Record
from superalign.runs.chosen import Chosen, Names, each_once
from superalign.runs.training import TrainingPlan

LossName = Literal[
    "xent",
    "soft",
    "confidence",
    "product",
    "bootstrap-soft",
    "bootstrap-hard",
    "filtered",
    "confident-learning",
    "early-stop",
    "consistency",
]


class LossesPlan(Record):
    """Weak-to-strong by training loss: students of all losses learn from the same weak labels."""

    tasks: Names = Field(("cities",), min_length=1, description="Registered tasks of at least three levels.")
    overseer: Chosen = Field("few-labels", description="Whose labels the students learn from.")
    losses: Annotated[tuple[LossName, ...], AfterValidator(each_once)] = Field(
        get_args(LossName), min_length=1, description="Ways to learn from weak labels; see docs/concepts/losses.md."
    )
    overseer_groups: int = Field(50, ge=4, description="Easy groups whose labels the overseer is given.")
    train_groups: int = Field(600, ge=8, description="Groups that students and ceilings are trained on.")
    test_groups: int = Field(300, ge=8, description="Groups on which they are tested; the hard ones count.")
    seeds: int = Field(5, ge=2, description="Students of each loss, and ceilings.")
    bootstrap: int = Field(2000, ge=100, description="Resamples of the paired seed and group bootstrap.")
    training: TrainingPlan = TrainingPlan()


class StudiesPlan(Record):
    """Studies of generalization beside the plan's own, right after it; each is left out unless it has a section."""

    losses: LossesPlan | None = None
