"""Easy-to-hard: what models that were taught easy questions make of harder ones, level by level."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.generalization import PGR
from superalign.contracts.records import Interval, Record, Unscored

Role = Literal["evaluator", "choosing evaluator", "generator"]


class TrainedUpTo(Record):
    """Models that were taught the truth of the levels up to one."""

    level: int
    accuracy: tuple[Interval, ...] = Field(description="At each level, the easiest first.")
    recovered: tuple[PGR, ...] = Field(
        description="Supervision gap recovered at each level above: (accuracy - zero-shot) / (own level - zero-shot)."
    )


class RoleLevels(Record):
    """Accuracy by level of models in one role. The last of `up_to` are those that were taught all levels but one."""

    role: Role
    zero_shot: tuple[Interval, ...]
    own_level: tuple[Interval, ...] = Field(description="At each level, models that were taught that level alone.")
    up_to: tuple[TrainedUpTo, ...]
    undecided: int = Field(description="Answers that were neither of two; each counts as half right.")
    answers: int = Field(description="Of all models together.")


class EasyToHard(Record):
    """All of it. Every model was taught equally many groups, by one recipe."""

    task: str
    level_names: tuple[str, ...]
    train_groups: int = Field(description="Groups whose truth each model was taught.")
    test_questions: tuple[int, ...] = Field(description="At each level, the same for all models.")
    seeds: int
    evaluator: RoleLevels = Field(description="Says of an answer whether it is right.")
    chooser: RoleLevels | Unscored = Field(description="The same evaluator, choosing one of two answers.")
    generator: RoleLevels | Unscored = Field(description="Asked which of the two is right, names one.")
