"""Is this the model that it is registered as? A test of what its events look like against a group's reference."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln, logsumexp

SPREADS = (30.0, 300.0, 3000.0)  # how much the alternative trusts the reference: far from it, near, very near
HALVINGS = 40


def log_e_values(
    counts: Int[np.ndarray, "agents features"],
    expected: Float[np.ndarray, "agents features"],
    low: Float[np.ndarray, "agents features"],
    high: Float[np.ndarray, "agents features"],
    threshold: float = -np.inf,
) -> Float[np.ndarray, "agents"]:
    """Evidence that features do not come from the reference: `expected` shares, that lie between `low` and `high`.

    Universal inference (Wasserman, Ramdas and Balakrishnan, arXiv 1912.11436, section 8): the likelihood of a mixture
    of Dirichlet distributions around the reference, over the largest likelihood that the reference allows. Its
    numerator is that of predictions made one after another, so that it bounds false alarms whenever one looks, and it
    hangs on the counts alone. Where it can't reach `threshold`, minus infinity is returned, which takes less time.
    """
    found = np.full(len(counts), -np.inf)
    alternative = _mixture(counts, expected)
    nearest = (counts * np.log(expected)).sum(axis=-1)  # no more than the largest that is allowed
    near = np.flatnonzero(alternative - nearest >= threshold)
    if near.size:
        found[near] = alternative[near] - _largest(counts[near], low[near], high[near])
    return found


def _mixture(
    counts: Int[np.ndarray, "agents features"], expected: Float[np.ndarray, "agents features"]
) -> Float[np.ndarray, "agents"]:
    """Logarithm of the probability of the sequence under a mixture of Dirichlet-multinomial distributions."""
    total = counts.sum(axis=-1)
    logs = []
    for spread in SPREADS:
        prior = spread * expected
        seen = (gammaln(prior + counts) - gammaln(prior)).sum(axis=-1)
        logs.append(gammaln(spread) - gammaln(spread + total) + seen)
    return np.asarray(logsumexp(logs, axis=0) - np.log(len(SPREADS)))


def _largest(
    counts: Int[np.ndarray, "agents features"],
    low: Float[np.ndarray, "agents features"],
    high: Float[np.ndarray, "agents features"],
) -> Float[np.ndarray, "agents"]:
    """Logarithm of the largest likelihood of shares within the bounds that add up to 1.

    The best shares are counts / v cut off at the bounds (Karush-Kuhn-Tucker), for the v with which they add up to 1.
    Their sum is let be a little more than 1, never less, so that rounding can't make an alarm.
    """
    safe = np.maximum(counts, 1e-9)
    least, most = np.full(len(counts), np.log(1e-12)), np.log(safe.sum(-1) / low.min(-1) + 1)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        enough = np.clip(safe / np.exp(middle)[:, None], low, high).sum(-1) >= 1
        least, most = np.where(enough, middle, least), np.where(enough, most, middle)
    shares = np.clip(safe / np.exp(least)[:, None], low, high)
    return np.asarray((counts * np.log(shares)).sum(-1))
