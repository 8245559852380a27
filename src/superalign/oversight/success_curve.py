"""Oversight success as a curve of the capability gap, and how many steps a gap is best divided into.

Engels et al. 2025 (arXiv 2504.18530): success is logistic in the difference of two Elo scores, and these are lines with
two plateaus (double ReLU) over general capability. Here the difference itself is such a line over the gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import expit, xlogy

ELO = 400 / np.log(10)  # Elo of one unit of log odds
KNOTS = 7  # quantiles of the gaps between which plateaus may begin
ITERATIONS = 12
FARTHEST = 2.0  # log odds that one iteration may go
RIDGE = 1e-6  # keeps a step finite where no pairing tells a plateau's height
SMALLEST = 1.0  # Elo between two knots

Form = Literal["logistic", "double-relu"]
Array = Float[np.ndarray, "resamples pairings"]
Each = Float[np.ndarray, "resamples"]


class Curve(NamedTuple):
    """One curve for each resample: log odds of success go in a line from the first knot to the last.

    Beyond them they go on so (logistic), or stay (double-relu).
    """

    form: Form
    first: Each
    last: Each
    at_first: Each
    at_last: Each

    def log_odds(self, gaps: Array) -> Array:
        along = (gaps - self.first[:, None]) / (self.last - self.first)[:, None]
        share = np.clip(along, 0, 1) if self.form == "double-relu" else along
        return np.asarray(self.at_first[:, None] * (1 - share) + self.at_last[:, None] * share)

    def success(self, gap: float) -> Each:
        return np.asarray(expit(self.log_odds(np.full((len(self.first), 1), gap)))[:, 0])

    @property
    def slope(self) -> Each:
        """Elo of success lost for each Elo of gap, between the knots."""
        return np.asarray(ELO * (self.at_first - self.at_last) / (self.last - self.first))

    def nested(self, gap: float, steps: int) -> Each:
        """Success over `gap` in so many steps over equal parts of it, all of which must succeed."""
        return np.asarray(self.success(gap / steps) ** steps)


def fit(form: Form, gaps: Array, successes: Array, trials: Array) -> Curve:
    """The likeliest curve of this form, each resample its own. `successes` of `trials` may be fractions.

    Half a success and half a failure are added to each pairing, so that one that never fails has finite odds. For given
    knots it is a logistic regression, which Newton's method solves for all resamples at once.
    """
    found = [between(form, *knots, gaps, successes + 0.5, trials + 1) for knots in knots_for(form, gaps)]
    best = np.stack([log_likelihood(own, gaps, successes, trials) for own in found]).argmax(axis=0)
    rows = np.arange(len(gaps))
    return Curve(form, *(np.stack(part)[best, rows] for part in zip(*(own[1:] for own in found), strict=True)))


def likelier_form(gaps: Array, successes: Array, trials: Array) -> Form:
    """Of the first resample: plateaus where they gain more log likelihood than the two numbers that they take (Akaike
    1974).
    """
    logistic, plateaus = (
        log_likelihood(fit(form, gaps, successes, trials), gaps, successes, trials)[0]
        for form in ("logistic", "double-relu")
    )
    return "double-relu" if plateaus - logistic > 2 else "logistic"


def log_likelihood(curve: Curve, gaps: Array, successes: Array, trials: Array) -> Each:
    success = expit(curve.log_odds(gaps))
    return np.asarray((xlogy(successes, success) + xlogy(trials - successes, 1 - success)).sum(axis=1))


def knots_for(form: Form, gaps: Array) -> Iterator[tuple[Each, Each]]:
    """For plateaus all that are tried, among the quantiles of the gaps; else the ends."""
    quantiles = np.quantile(gaps, np.linspace(0, 1, KNOTS), axis=1)
    pairs = combinations(range(KNOTS), 2) if form == "double-relu" else [(0, KNOTS - 1)]
    for first, last in pairs:
        yield quantiles[first], np.maximum(quantiles[last], quantiles[first] + SMALLEST)


def between(form: Form, first: Each, last: Each, gaps: Array, successes: Array, trials: Array) -> Curve:
    """The likeliest curve with these knots."""
    even = np.zeros(len(gaps))
    share = Curve(form, first, last, even, even + 1).log_odds(gaps)
    inputs = np.stack([1 - share, share], axis=-1)
    values = np.zeros((len(gaps), 2))
    for _ in range(ITERATIONS):
        success = expit(np.einsum("rpk,rk->rp", inputs, values))
        gradient = np.einsum("rpk,rp->rk", inputs, successes - trials * success)
        curvature = np.einsum("rpk,rp,rpl->rkl", inputs, trials * success * (1 - success), inputs)
        step = np.linalg.solve(curvature + RIDGE * np.eye(2), gradient[..., None])[..., 0]
        values += np.clip(step, -FARTHEST, FARTHEST)
    return Curve(form, first, last, values[:, 0], values[:, 1])
