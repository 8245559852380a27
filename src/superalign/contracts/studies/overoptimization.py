"""What a study of over-optimization found: how proxy and gold reward go with the distance from the first policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.records import Interval, Record, Unscored

Optimizer = Literal["best-of-n", "reinforcement", "policy gradient"]
Supervised = Literal["outcome", "process"]
Combined = Literal["alone", "mean", "worst", "mean less variance"]


class Point(Record):
    """One strength of optimization: draws, the temperature of the KL penalty, or updates; rewards are means over
    prompts.
    """

    strength: float
    distance: float
    proxy: float
    gold: Interval


class Curve(Record):
    """Rewards against distance, and the fit of the gold reward gained: `initial` is a, `falling` b."""

    optimizer: Optimizer
    points: tuple[Point, ...]
    initial: Interval
    falling: Interval
    peak: float | Unscored = Field(description="Distance at which the fit is largest, if it falls within the measured.")
    unexplained: float
    best: Interval = Field(description="The strength of the largest gold reward, as measured.")
    lost: Interval = Field(description="Gold reward at that strength less that at the furthest; chosen on this data.")
    gained: Interval = Field(description="Gold reward at the furthest strength less that at first.")


class ProxyResult(Record):
    """One learned reward, in every seed fitted on comparisons of its own, and optimized."""

    supervised: Supervised = Field(description="By comparisons of whole answers, or of single steps.")
    combined: Combined = Field(description="One reward alone, or how several are made one.")
    members: int
    comparisons: int
    agreement: Interval = Field(description="Pairs of candidates of one prompt that it orders as the gold reward does.")
    curves: tuple[Curve, ...] = Field(description="By optimizer; policy gradient of rewards alone.")


class OveroptimizationStudy(Record):
    """All learned rewards on the same candidates."""

    task: str
    seeds: int
    prompts: int = Field(description="Over all seeds.")
    candidates: int = Field(description="To each prompt.")
    steps: int = Field(description="In each candidate; the gold reward is the share of them that are right.")
    noise: float = Field(description="The share of comparisons that are told the wrong way round.")
    first: float = Field(description="Mean gold reward of all candidates.")
    best: float = Field(description="Of the best candidate to each prompt.")
    proxies: tuple[ProxyResult, ...]
