"""What a study of detector pressure found: an organism that pays for what a probe reads of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Interval, Record

Outcome = Literal["in sight", "out of sight", "weakened", "gone"]


class PressurePoint(Record):
    """Organisms after training under one penalty for so many steps, beside twins that were trained alike.

    Every AUROC is that with which a probe tells organism from twin where the organism misbehaves, on facts that were
    not taught; below 0.5 the probe takes the one for the other.
    """

    penalty: float
    steps: int = Field(description="0: before any training under the penalty.")
    behaviour: Interval = Field(description="Misbehaviour, where it would show.")
    capability: Interval = Field(description="Right answers where the organism is not meant to misbehave.")
    divergence: Interval = Field(description="KL of its answers from those before, in nats for each question.")
    read: Interval = Field(description="By the probe that was trained against.")
    siblings: dict[str, Interval] = Field(description="By probes of the same models before, that were not.")
    refitted: Interval = Field(description="By a probe fitted anew on these models.")
    outcome: Outcome = Field(description="By the bounds that organisms are held against.")


class PressureStudy(Record):
    """All penalties and numbers of steps."""

    family: str
    task: str
    seeds: int
    questions: int = Field(description="Of the test, for each seed.")
    layer: int = Field(description="That the probe reads which is trained against.")
    points: tuple[PressurePoint, ...]
