"""Accuracy and AUROC with intervals: the only functions that meet answers and truth together.

Resampling is by group, never by row: questions on one entity stand or fall together (cluster bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.records import Interval

# A metric of scores (`margin` > 0 means yes) against truth, for many weightings of the questions at once.
Metric = Callable[
    [Float[np.ndarray, "questions"], Bool[np.ndarray, "questions"], Float[np.ndarray, "resamples questions"]],
    Float[np.ndarray, "resamples"],
]


def accuracy(
    margin: Float[np.ndarray, "questions"],
    truth: Bool[np.ndarray, "questions"],
    weights: Float[np.ndarray, "resamples questions"],
) -> Float[np.ndarray, "resamples"]:
    """Weighted share of questions answered right; a margin of exactly 0 is half right."""
    right = np.where(margin == 0, 0.5, (margin > 0) == truth)
    return np.asarray(weights @ right / weights.sum(axis=1))


def auroc(
    margin: Float[np.ndarray, "questions"],
    truth: Bool[np.ndarray, "questions"],
    weights: Float[np.ndarray, "resamples questions"],
) -> Float[np.ndarray, "resamples"]:
    """Weighted probability that a true question scores above a false one, ties half; NaN if a class has no weight."""
    _, place = np.unique(margin, return_inverse=True)
    values = place.max() + 1
    per_value = np.zeros((2, len(weights), values))
    for kind, mask in enumerate((~truth, truth)):
        np.add.at(per_value[kind].T, place[mask], weights[:, mask].T)
    negative, positive = per_value
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = negative.sum(axis=1) * positive.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((positive * below).sum(axis=1) / np.where(pairs > 0, pairs, np.nan))


def point(metric: Metric, margin: np.ndarray, truth: np.ndarray) -> float:
    """The metric with every question counted once."""
    return float(metric(margin, truth, np.ones((1, len(truth))))[0])


def group_weights(
    groups: Sequence[str], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, "resamples questions"]:
    """How often each question occurs in each resample, when whole groups are drawn with replacement."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return draws[:, member].astype(np.float64)


def seed_weights(seeds: int, resamples: int, rng: np.random.Generator) -> Float[np.ndarray, "resamples seeds"]:
    """Share of each seed in each resample, when seeds are drawn with replacement."""
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds


def percentile_interval(value: float, resampled: Float[np.ndarray, "resamples"], level: float = 0.95) -> Interval:
    """Bootstrap percentile interval around `value`; resamples where the metric is undefined are left out."""
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=value, low=float(low), high=float(high), level=level)
