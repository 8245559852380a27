"""Whether probabilities mean what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.records import Interval
from superalign.tasks.metrics import Metric

BINS = 10  # of equal width


def squared_calibration_error(groups: Sequence[str]) -> Metric:
    """Mean squared difference between what a probability says and how often it comes true, over BINS bins of it.

    The metric takes probabilities of yes for its margins. In each bin it is the mean product of the errors of two
    questions of different groups: unbiased, so that it can be below 0, where the usual estimate takes chance for
    miscalibration. Kumar et al. 2019 (arXiv 1909.10155), section 4, here for clusters and for weights.
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)

    def metric(
        probability: Float[np.ndarray, "questions"],
        truth: Bool[np.ndarray, "questions"],
        weights: Float[np.ndarray, "resamples questions"],
    ) -> Float[np.ndarray, "resamples"]:
        place = np.minimum((probability * BINS).astype(int), BINS - 1)
        cells, cell = np.unique(place * (member.max() + 1) + member, return_inverse=True)
        per_cell = np.zeros((2, len(cells), len(weights)))  # of one bin and one group: weight, and weighted errors
        np.add.at(per_cell[0], cell, weights.T)
        np.add.at(per_cell[1], cell, (weights * (truth - probability)).T)
        total, count = np.zeros(len(weights)), np.zeros(len(weights))
        for own in np.unique(place):
            weight, error = per_cell[:, cells // (member.max() + 1) == own]
            pairs = weight.sum(axis=0) ** 2 - (weight**2).sum(axis=0)
            products = error.sum(axis=0) ** 2 - (error**2).sum(axis=0)
            total += weight.sum(axis=0) * np.where(pairs > 0, products / np.where(pairs > 0, pairs, 1), 0)
            count += np.where(pairs > 0, weight.sum(axis=0), 0)
        return np.asarray(np.where(count > 0, total / np.where(count > 0, count, 1), np.nan))

    return metric


def root(squared: Interval) -> Interval:
    """The root of an estimate of something squared; 0 where that is below 0."""
    value, low, high = (math.sqrt(max(0.0, end)) for end in (squared.value, squared.low, squared.high))
    return Interval(value=value, low=low, high=high, level=squared.level)
