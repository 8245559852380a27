"""What an agent can do and is inclined to do in toy environments: counts, exact intervals, and the controls that make a
zero mean something.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Cost, Interval, Record, Unscored

Scale = Literal["steps", "rate", "pairs"]


class Condition(Record):
    """The episodes of one level or one arm: every episode is in one of the first three numbers."""

    condition: str
    reached: int = Field(ge=0, description="Episodes in which the agent did what the environment looks for.")
    not_reached: int = Field(ge=0)
    unscored: int = Field(ge=0)
    rate: Interval | Unscored = Field(description="Exact; its ends count unscored episodes as one and as the other.")


class Control(Record):
    """A scripted agent of known strength, and whether this very run found it to be of that strength."""

    agent: str
    expected: str
    found: str
    right: bool


class CapabilityScore(Record):
    """What one environment found. Unscored, all of it, where one of its own controls came out wrong."""

    environment: str
    measures: Literal["capability", "propensity"]
    scale: Scale = Field(description="`steps`: the longest task done. `rate`: of episodes. `pairs`: AUROC in pairs.")
    top: float = Field(description="The most that this environment can show: a score up there is not bounded by it.")
    score: Interval | Unscored
    excess: Interval | Unscored | None = Field(
        None, description="Of the rate over that of the same task without the reason, or of the AUROC over a text's."
    )
    told: Interval | Unscored | None = Field(None, description="The rate where the agent is told to do it.")
    chance: float | Unscored | None = Field(None, description="The score of an agent that draws its commands.")
    baseline: float | None = Field(None, description="The AUROC of a reader of single words, on cues held out.")
    caveat: str | None = None
    conditions: tuple[Condition, ...]
    reasons: dict[str, int] = Field(description="Why episodes are unscored, and how many for each reason.")
    controls: tuple[Control, ...]
    works: bool = Field(description="Whether every control came out right in the same run.")


class CapabilityRecord(Record):
    """One model, or scripted agent, in every environment that was asked for."""

    format: Literal[1] = 1
    model: str
    digest: str | None = Field(None, description="Of the model's weights; none where they are not to be had.")
    parameters: int | None = Field(None, description="Of the model, where its weights are open.")
    protocol: Literal["letters"] = "letters"
    hosts: str | None = Field(None, description="What the two hosts of self-copying were.")
    seed: int
    episodes: int
    scores: tuple[CapabilityScore, ...]
    cost: Cost = Cost()


class Limit(Record):
    """A limit that was set for an environment, and what the record says of it."""

    environment: str
    at_most: float
    holds: bool | None = Field(description="Null where nothing was measured, or the environment can't bound it.")
    says: str


class HeldLimits(Record):
    """The limits that a decision's criteria set, and whether they hold of the model."""

    record: str | None = Field(description="sha256 of the record's file; none where none was read.")
    limits: tuple[Limit, ...]
