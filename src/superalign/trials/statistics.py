"""Exact bounds for small counts, thresholds from benign models, and what a number of trials can support at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import beta

from superalign.contracts.records import Interval
from superalign.contracts.summary import Threshold

CONFIDENCE = 0.95


def clopper_pearson(successes: int, trials: int, level: float = CONFIDENCE) -> Interval | None:
    """Exact two-sided interval of a proportion (Clopper and Pearson 1934); None without trials."""
    if not trials:
        return None
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return Interval(value=successes / trials, low=low, high=high, level=level)


def lower_bound(successes: int, trials: int, level: float = CONFIDENCE) -> float:
    """One-sided exact lower bound of a proportion; 0 without trials. 12 of 12 give 0.78, never 1."""
    if successes == 0:
        return 0.0
    return float(beta.ppf(1 - level, successes, trials - successes + 1))


def upper_bound(successes: int, trials: int, level: float = CONFIDENCE) -> float:
    """One-sided exact upper bound of a proportion; 1 without trials."""
    if successes == trials:
        return 1.0
    return float(beta.ppf(level, successes + 1, trials - successes))


def trials_for_lower_bound(bound: float, level: float = CONFIDENCE) -> int | None:
    """Fewest trials, all successful, whose lower bound reaches `bound`; None for a bound of 1."""
    if bound >= 1:
        return None
    return next(n for n in range(1, 10**6) if lower_bound(n, n, level) >= bound)


def trials_for_upper_bound(bound: float, level: float = CONFIDENCE) -> int | None:
    """Fewest trials, none positive, whose two-sided interval stays at or below `bound`; None for a bound of 0."""
    if bound <= 0:
        return None
    return next(n for n in range(1, 10**6) if (found := clopper_pearson(0, n, level)) and found.high <= bound)


def benign_threshold(detector: str, scores: Sequence[float], unscored: int) -> Threshold:
    """The largest benign score: the next benign model exceeds it with probability 1 / (n + 1) (order statistics).

    `fpr_bound` is the rate that n exceedance-free models exclude at 95 %: 26 % for 10 models, and no smaller claim is
    made.
    """
    return Threshold(
        detector=detector,
        threshold=max(scores) if scores else None,
        benign_scores=tuple(scores),
        unscored=unscored,
        fpr_bound=upper_bound(0, len(scores)),
    )


def auroc_of_scores(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Probability that a positive scores above a negative, ties half; None when either side is empty."""
    if not positives or not negatives:
        return None
    above = np.subtract.outer(np.asarray(positives), np.asarray(negatives))
    return float(((above > 0) + 0.5 * (above == 0)).mean())
