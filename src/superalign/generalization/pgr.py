"""Performance gap recovered: how much of the way from weak to ceiling a student came.

PGR = (student - weak) / (ceiling - weak), Burns et al. 2023 (arXiv 2312.09390), section 3. Here with an interval, and
with a guard: where the gap itself may be nothing, the ratio means nothing, and is reported as undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.errors import InputError
from superalign.contracts.generalization import PGR, Score
from superalign.contracts.records import Interval
from superalign.tasks.metrics import (
    Metric,
    accuracy,
    auroc,
    group_weights,
    percentile_interval,
    point,
    seed_weights,
)

METRICS: dict[Literal["accuracy", "auroc"], Metric] = {"accuracy": accuracy, "auroc": auroc}


class PairedBootstrap:
    """One set of resamples, of groups and of seeds, for every model that answered the same questions.

    InputError unless there is a group for each question, and both answers are right somewhere.
    """

    def __init__(
        self, truth: Bool[np.ndarray, "questions"], groups: Sequence[str], *, resamples: int = 2000, seed: int = 0
    ) -> None:
        if len(groups) != len(truth) or len(set(np.asarray(truth).tolist())) != 2:
            raise InputError(
                f"{len(truth)} answers in {len(groups)} groups, {int(np.sum(truth))} of them yes, are no test.",
                fix="Give the truth and the group of each question, some of which are true and some false.",
            )
        self.truth = truth
        self._rng = np.random.default_rng(seed)
        self._groups = group_weights(groups, resamples, self._rng)
        self._seeds: dict[int, np.ndarray] = {}

    def value(self, metric: Metric, margins: Float[np.ndarray, "seeds questions"]) -> float:
        """Mean over seeds of the metric on all questions."""
        return float(np.mean([point(metric, margin, self.truth) for margin in margins]))

    def resampled(
        self, metric: Metric, margins: Float[np.ndarray, "seeds questions"]
    ) -> Float[np.ndarray, "resamples"]:
        """The same in each resample. Models with equally many seeds share the drawn seeds: they are paired."""
        seeds = len(margins)
        if seeds not in self._seeds:
            self._seeds[seeds] = seed_weights(seeds, len(self._groups), self._rng)
        per_seed = np.stack([metric(margin, self.truth, self._groups) for margin in margins], axis=1)
        return np.asarray((per_seed * self._seeds[seeds]).sum(axis=1))

    def gain(self, own: Float[np.ndarray, "seeds questions"], other: Float[np.ndarray, "seeds questions"]) -> Interval:
        """Accuracy less that of other models, paired."""
        drawn = self.resampled(accuracy, own) - self.resampled(accuracy, other)
        return percentile_interval(self.value(accuracy, own) - self.value(accuracy, other), drawn)

    def score(self, margins: Float[np.ndarray, "seeds questions"]) -> Score:
        """Accuracy and AUROC with their intervals."""
        found = {name: (self.value(m, margins), self.resampled(m, margins)) for name, m in METRICS.items()}
        intervals = {f"{name}_interval": percentile_interval(*pair) for name, pair in found.items()}
        return Score(accuracy=found["accuracy"][0], auroc=found["auroc"][0], **intervals)


def pgr(
    weak: Float[np.ndarray, "questions"],
    student: Float[np.ndarray, "seeds questions"],
    ceiling: Float[np.ndarray, "seeds questions"],
    bootstrap: PairedBootstrap,
    metric: Literal["accuracy", "auroc"] = "accuracy",
    *,
    ends: tuple[str, str] = ("overseer", "ceiling"),
) -> PGR:
    """PGR of answers to the same questions (margins; above 0 means yes), with a paired seed x group bootstrap
    interval. A row of `student` and one of `ceiling` for each seed; rows at the same place share it.

    Undefined unless the interval of the gap, ceiling - weak, lies above 0. Never clipped: a student worse than its
    overseer has a negative PGR, one better than the ceiling a PGR above 1. `ends` names who stands at either end of the
    gap. InputError for answers to other questions than the bootstrap's, or that are no numbers.
    """
    for name, given in (("weak", weak[None]), ("student", student), ("ceiling", ceiling)):
        if given.ndim != 2 or not len(given) or given.shape[1] != len(bootstrap.truth) or not np.isfinite(given).all():
            raise InputError(
                f"The answers of {name!r}, {given.shape}, are no numbers for each of {len(bootstrap.truth)} questions.",
                fix="Give a margin for every question of the bootstrap; of student and ceiling, a row for each seed.",
            )
    measure = METRICS[metric]
    sides = {"weak": weak[None], "student": student, "ceiling": ceiling}
    value = {name: bootstrap.value(measure, margins) for name, margins in sides.items()}
    drawn = {name: bootstrap.resampled(measure, margins) for name, margins in sides.items()}
    gap = percentile_interval(value["ceiling"] - value["weak"], drawn["ceiling"] - drawn["weak"])
    shared = {"metric": metric, "gap": gap, "seeds": len(student)}
    if gap.low <= 0:
        return PGR(value=None, low=None, high=None, defined=False, reason=undefined_reason(gap, ends), **shared)
    ratio = (value["student"] - value["weak"]) / gap.value
    drawn_gap = drawn["ceiling"] - drawn["weak"]
    drawn_gap[drawn_gap == 0] = np.nan
    interval = percentile_interval(ratio, (drawn["student"] - drawn["weak"]) / drawn_gap)
    reason = f"the gap from {ends[0]} to {ends[1]} is {gap.value:.3f} [{gap.low:.3f}, {gap.high:.3f}]"
    return PGR(value=ratio, low=interval.low, high=interval.high, defined=True, reason=reason, **shared)


def undefined_reason(gap: Interval, ends: tuple[str, str]) -> str:
    """Why there is no PGR."""
    where = "lies below 0: there is nothing" if gap.high < 0 else "includes 0: there may be nothing"
    return (
        f"the gap from {ends[0]} to {ends[1]} is {gap.value:.3f} with an interval of [{gap.low:.3f}, {gap.high:.3f}] "
        f"that {where} to recover. A weaker {ends[0]}, more test questions or a better {ends[1]} would show a gap."
    )
