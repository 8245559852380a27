"""Exact bounds for small counts, the conformal test of a battery, and intervals whose unit is the family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import beta, norm
from scipy.stats import t as student

from superalign.contracts.records import Interval, Unit, Unscored
from superalign.contracts.summary import BenignModel, Threshold
from superalign.tasks.metrics import auroc, group_weights, percentile_interval, point

CONFIDENCE = 0.95
RESAMPLES = 2000

Clusters = Mapping[str, Sequence[float]]


def clopper_pearson(successes: float, trials: int, level: float = CONFIDENCE) -> Interval | None:
    """Exact two-sided interval of a proportion (Clopper and Pearson 1934); None without trials.

    `successes` may be a fraction: the mean of rates that vary less than single trials would, times their number.
    """
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


def clustered_proportion(rates: Sequence[float], level: float = CONFIDENCE) -> Interval | None:
    """Mean of one rate per cluster, with the interval of so many single trials; None without clusters.

    Exact when the members of a cluster stand or fall together. When they do not, the rate of a cluster varies less than
    one trial, and the interval is too wide (simulated in the tests). An estimated design effect (Korn and Graubard
    1998) would be narrower, but can't be estimated where nothing is flagged.
    """
    return clopper_pearson(sum(rates), len(rates), level)


def benign_threshold(detector: str, benign: Sequence[BenignModel], code: str = "", unit: Unit = "any") -> Threshold:
    """The largest benign score: the next benign model exceeds it with probability 1 / (n + 1) (order statistics).

    `fpr_bound` is the rate that n exceedance-free models exclude at 95 %: 26 % for 10 models, and no smaller claim is
    made.
    """
    scores = [model.result for model in benign if not isinstance(model.result, Unscored)]
    return Threshold(
        detector=detector,
        code=code,
        unit=unit,
        threshold=max(scores, default=None),
        benign=tuple(benign),
        fpr_bound=upper_bound(0, len(scores)),
    )


def comparable(
    scores: Float[np.ndarray, "models detectors"], shares: Bool[np.ndarray, "detectors"]
) -> Float[np.ndarray, "models detectors"]:
    """Each detector's scores less their median, between -1 and 1; minus infinity for a missing one.

    Scores that are `shares` are taken as they are: a model that misbehaves in half of all cases stands out more than
    one that does so in a tenth, whatever the scatter of the few others. The others are divided by the root of the sum
    of squares of what they deviate from their median: 1 is a model that alone deviates. Missing scores (not a number)
    have no part in it; a detector has one score at least. Centre and spread are symmetric in the models. Squares vary
    less than the median of the deviations, so that few benign models suffice; and with the deviations' mean, a detector
    that is silent but for one benign model would put that one above what any other detector can say.
    """
    size = np.where(shares, 1, np.nanmax(np.abs(scores), axis=0))
    scaled = scores / np.where(size > 0, size, 1)  # the difference of the largest numbers would be infinite
    away = scaled - np.nanmedian(scaled, axis=0)
    spread = np.sqrt(np.nansum(np.sort(away**2, axis=0), axis=0))  # sorted: not even rounding depends on the order
    found = away / np.where(shares | (spread == 0), 1, spread)
    return np.where(np.isnan(found), -np.inf, found)


def conformal_p(score: float, benign: Float[np.ndarray, "models"]) -> float:
    """(1 + the benign models that score at least as high) / (n + 1): at most `a` with a probability of at most `a`.

    For a model exchangeable with the benign ones; Vovk, Gammerman and Shafer 2005, chapter 2. Ties count against
    the model.
    """
    return float((1 + (benign >= score).sum()) / (1 + len(benign)))


def clustered_auroc(positives: Clusters, negatives: Clusters, level: float = CONFIDENCE) -> Interval | None:
    """Probability that a positive scores above a negative, ties half; None when either side is empty.

    The interval is a bootstrap over clusters, of which both sides' members are drawn together, its percentiles expanded
    for the number k of clusters on the smaller side (Hesterberg 2015, arXiv 1411.5279). Where hardly any scores
    overlap, resampling sees no way to be wrong; so the interval always holds what k single trials with k successes, or
    none, do not exclude.
    """
    sides = [[(name, score) for name, scores in side.items() for score in scores] for side in (positives, negatives)]
    clusters = min(len({name for name, _ in side}) for side in sides)
    if not clusters:
        return None
    names = [name for side in sides for name, _ in side]
    scores = np.array([score for side in sides for _, score in side])
    truth = np.array([side == 0 for side, members in enumerate(sides) for _ in members], dtype=bool)
    drawn = auroc(scores, truth, group_weights(names, RESAMPLES, np.random.default_rng(0)))
    found = percentile_interval(point(auroc, scores, truth), drawn, 1 - 2 * expanded_tail(clusters, (1 - level) / 2))
    excluded = ((1 - level) / 2) ** (1 / clusters)
    return Interval(value=found.value, low=min(found.low, excluded), high=max(found.high, 1 - excluded), level=level)


def expanded_tail(clusters: int, tail: float) -> float:
    """The tail to cut off a bootstrap so that it is as wide as Student's interval; 0 for a single cluster."""
    if clusters == 1:
        return 0.0
    return float(norm.cdf(np.sqrt(clusters / (clusters - 1)) * student.ppf(tail, clusters - 1)))
