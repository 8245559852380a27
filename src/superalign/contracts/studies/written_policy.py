"""What a study of policies that write their own text found: learned and true worth by distance from the first one."""

from __future__ import annotations

from pydantic import Field

from superalign.contracts.records import Interval, Record, Unscored
from superalign.contracts.studies.overoptimization import Combined, Curve, Supervised


class TrainedPolicy(Record):
    """A policy trained by GRPO, looked at on the way: `curve` by the number of steps."""

    beta: float
    curve: Curve
    divergence: tuple[Interval, ...] = Field(description="KL from the first policy at each point, in nats for a text.")
    names: tuple[float, ...] = Field(description="How many names a text has at each point, on average.")
    example: str = Field(description="A text of the policy at last.")


class RewardResult(Record):
    """One learned reward, in every seed fitted anew; and what becomes of the policy that is trained against it."""

    supervised: Supervised = Field(description="By comparisons of whole answers, or of single names in them.")
    combined: Combined = Field(description="One reward alone, or how several are made one.")
    members: int
    agreement: Interval = Field(
        description="Pairs of the first policy's texts to one prompt that it orders as the gold reward does."
    )
    best_of: Curve = Field(description="Best of n of the first policy's texts; distances are bounds.")
    trained: tuple[TrainedPolicy, ...] = Field(description="By GRPO, one for each weight of the KL divergence.")


class WrittenPolicyStudy(Record):
    """All rewards, and all policies trained against them, on the same prompts."""

    seeds: int
    prompts: int = Field(description="On which policies are measured, over all seeds; none was trained on.")
    pool: int = Field(description="Texts of the first policy to each of them, of which the best of n are chosen.")
    written: int = Field(description="Texts to each of them at each point of a trained policy.")
    comparisons: int
    noise: float = Field(description="The share of comparisons that are told the wrong way round.")
    temperature: float
    steps: int
    batch: int
    first: Interval = Field(description="Gold reward of the first policy's texts.")
    rewards: tuple[RewardResult, ...] | Unscored
