"""Bets against the mean of a bounded number, that win only if it is not what the reference allows.

A number z in [0, 1] is claimed to have a mean of at most m, whatever came before. A stake that is multiplied by
1 + λ (z - m) at each event, for some λ in [0, 1/m], is then expected not to grow, and by Ville's inequality (1939) ever
grows by a factor of 1/a with a probability of at most a (Waudby-Smith and Ramdas, arXiv 2010.09686, section 4). Here z
takes few values, so that what a stake comes to hangs on nothing but how often each was seen: counts can be taken
anywhere, in any order, and added up.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

STAKES = 10  # different λ for each bet: the best is not known before
SMALLEST, BOLDEST = 0.02, 0.9  # λ, and as a share of 1/m: a lost event must leave something
HALVINGS = 50


def stakes(mean: Float[np.ndarray, "*bets"]) -> Float[np.ndarray, "*bets stakes"]:
    """The λ for each claimed mean, from timid to bold."""
    boldest = BOLDEST / np.maximum(mean, 1e-12)
    return np.asarray(SMALLEST * (boldest / SMALLEST)[..., None] ** np.linspace(0, 1, STAKES))


def growth(
    values: Float[np.ndarray, "*bets values"], mean: Float[np.ndarray, "*bets"]
) -> Float[np.ndarray, "*bets values stakes"]:
    """The logarithm by which each stake is multiplied when a value is seen, if the mean is claimed to be at most so."""
    return np.asarray(np.log1p(stakes(mean)[..., None, :] * (values - mean[..., None])[..., None]))


def upper_bound(
    counts: Float[np.ndarray, "*bets values"], values: Float[np.ndarray, "*bets values"], miss: float
) -> Float[np.ndarray, "*bets"]:
    """Too low with a probability of at most `miss`: the largest mean that bets on a smaller one do not refute.

    The betting bound of Waudby-Smith and Ramdas (arXiv 2010.09686, theorem 3), with a mixture of fixed stakes. 1 where
    nothing was counted.
    """
    low, high = np.zeros(counts.shape[:-1]), np.ones(counts.shape[:-1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        # A claim of at least m for z is one of at most 1 - m for 1 - z.
        won = (counts[..., None] * growth(1 - values, 1 - middle)).sum(-2)
        refuted = all_stakes(won) >= -np.log(miss)
        low, high = np.where(refuted, low, middle), np.where(refuted, middle, high)
    return high


def all_stakes(logs: Float[np.ndarray, "*bets stakes"]) -> Float[np.ndarray, "*bets"]:
    """Logarithm of the mean over stakes, given their logarithms; minus infinity where nothing is at stake."""
    top = logs.max(axis=-1)
    safe = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(logs - safe[..., None]).mean(axis=-1)) + safe)


class Ledger:
    """What bets have come to that may have begun before any block: for many bettors, each with several bets.

    A share 1 / (j (j + 1)) of the stake is put in before block j, and all of it was there at the start; so the whole
    is expected not to grow, whenever one looks, and a change after many clean blocks costs the logarithm of their
    number and not what was lost in them. It is the e-detector of Shin, Ramdas and Rinaldo (arXiv 2203.03532) with
    weights that add up to 1, which bounds the probability of any false alarm instead of their frequency.
    """

    def __init__(self, logs: Float[np.ndarray, "bettors bets stakes"], blocks: int = 0) -> None:
        """`logs` are the logarithms of what is at stake, minus infinity at the start."""
        self.logs, self.blocks = logs, blocks

    @classmethod
    def new(cls, bettors: int, bets: int) -> Ledger:
        return cls(np.full((bettors, bets, STAKES), -np.inf))

    def bet(self, won: Float[np.ndarray, "bettors bets stakes"]) -> None:
        """A block is over, in which each stake was multiplied by exp(`won`)."""
        self.blocks += 1
        np.logaddexp(self.logs, -np.log(self.blocks * (self.blocks + 1.0)), out=self.logs)
        self.logs += won

    @property
    def at_stake(self) -> Float[np.ndarray, "bettors bets"]:
        """Logarithm of what all stakes of a bet have come to."""
        return all_stakes(self.logs)

    @property
    def put_aside(self) -> float:
        """Logarithm of what was not put in yet."""
        return -float(np.log(self.blocks + 1.0))

    @property
    def e_values(self) -> Float[np.ndarray, "bettors bets"]:
        """Logarithms of the e-values: what one has for each unit that one began with."""
        return np.asarray(np.logaddexp(self.at_stake, self.put_aside))


def alarms(
    logs: Float[np.ndarray, "hypotheses"], weights: Float[np.ndarray, "hypotheses"], alpha: float
) -> Bool[np.ndarray, "hypotheses"]:
    """Which hypotheses are rejected by e-BH (Wang and Ramdas, arXiv 2009.02824) with weights that add up to 1.

    The k with the largest weighted e-values, for the largest k with all of them at least n / (k alpha). So the share of
    false ones among them is at most alpha on average, whatever hangs on what. And if all hypotheses hold, there is ever
    any rejection with a probability of at most alpha: it takes a weighted mean of the e-values of at least 1 / alpha,
    and this mean is an e-process itself.
    """
    weighted = logs + np.log(weights * len(weights))
    order = np.argsort(-weighted, kind="stable")
    enough = weighted[order] >= np.log(len(weights) / (np.arange(1, len(weights) + 1) * alpha))
    rejected = np.zeros(len(weights), bool)
    if enough.any():
        rejected[order[: np.flatnonzero(enough)[-1] + 1]] = True
    return rejected
