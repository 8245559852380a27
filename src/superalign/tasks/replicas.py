"""Several seeds of one task: questions that share no group, and estimates over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import Task
from superalign.contracts.records import Interval, Unscored
from superalign.tasks.metrics import group_weights, percentile_interval, seed_weights
from superalign.tasks.splits import Splits, check_answers, pool_of, take

# What is measured of one seed, by its number, for many weightings of its questions; NaN where it is undefined.
Measure = Callable[[int, Float[np.ndarray, "resamples questions"]], Float[np.ndarray, "resamples"]]


def replicas(
    task: Task, *, labelled: int, tested: int, seeds: int, seed: int, trained: int = 0, where: str = "task"
) -> list[Splits]:
    """Splits for each of so many seeds: `labelled` groups of the easiest level for the overseer, and of every other
    level `trained` groups for students and `tested` for the test. None shares a group with another; what is left of the
    tested levels is for whoever audits the wording, in all seeds.

    PlanError, about the plan's section `where`, when the task has too few groups or levels, or only one answer.
    """
    questions, key = task.load(seed=seed)
    groups, levels = pool_of(questions, seed)
    easiest, *others = sorted(levels)
    if not others:
        raise PlanError(
            f"The task {task.name!r} has one level only: nothing in it is beyond what an overseer is shown.",
            where=where,
            fix="Name a task of several levels; see `superalign tasks list`.",
        )
    drawn = [
        (
            take(levels, labelled, levels=[easiest], where=where),
            take(levels, trained * len(others), levels=others, where=where),
            take(levels, tested * len(others), levels=others, where=where),
        )
        for _ in range(seeds)
    ]
    if not all(levels[level] for level in others):
        raise PlanError(
            f"No group of {task.name!r} is left to measure what its wording gives away.",
            where=where,
            fix="Ask for fewer groups, or fewer seeds.",
        )
    rest = tuple(question for level in others for group in levels[level] for question in groups[group])
    found = []
    for parts in drawn:
        given, taught, asked = (tuple(question for group in part for question in groups[group]) for part in parts)
        check_answers("labelled", given, key, where)
        check_answers("test", asked, key, where)
        known = key.only([*given, *taught, *asked, *rest])
        found.append(Splits(given, taught, asked, rest, known, task.level_names))
    return found


class SeedBootstrap:
    """One set of resamples for all that is measured on the same questions, so that differences are paired: seeds are
    drawn with replacement, and in each seed its groups.

    Wider than need be where seeds hardly differ: the chance of which groups were drawn counts among the seeds too.
    """

    def __init__(self, groups: Sequence[Sequence[str]], *, resamples: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._groups = [group_weights(own, resamples, rng) for own in groups]
        self._seeds = seed_weights(len(groups), resamples, rng)

    def estimate(self, measure: Measure) -> Interval | Unscored:
        """The mean over seeds, with its interval; a seed in which the measure is undefined does not count."""
        once = [measure(seed, np.ones((1, own.shape[1]))) for seed, own in enumerate(self._groups)]
        value = _weighted_mean(np.stack(once, axis=1), np.ones((1, len(once))))[0]
        if not np.isfinite(value):
            return Unscored(reason="nothing to measure it on was scored")
        drawn = np.stack([measure(seed, own) for seed, own in enumerate(self._groups)], axis=1)
        return percentile_interval(float(value), _weighted_mean(drawn, self._seeds))

    def mean(self, values: Sequence[Float[np.ndarray, "questions"]]) -> Interval | Unscored:
        """The same of a number for each question of each seed, NaN where there is none."""
        return self.estimate(lambda seed, weights: _weighted_mean(values[seed][None], weights))


def _weighted_mean(
    values: Float[np.ndarray, "#rows columns"], weights: Float[np.ndarray, "#rows columns"]
) -> Float[np.ndarray, "rows"]:
    """Of those that are numbers; NaN where none of them has weight."""
    known = np.isfinite(values)
    total = (weights * known).sum(axis=1)
    sums = (weights * np.where(known, values, 0)).sum(axis=1)
    return np.asarray(np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan))
