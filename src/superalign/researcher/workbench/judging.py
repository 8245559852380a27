"""Parts of the problem `judging`. An order is a number for each question, the highest first; a purchase says which
protocols are bought for which questions; a belief is a probability of yes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logit

Given = Mapping[str, np.ndarray]
SURE = 1e-4  # no probability is nearer to 0 or 1


def plan(given: Given, purchase: np.ndarray, belief: np.ndarray) -> dict[str, np.ndarray]:
    return {"bought": purchase, "probability": belief}


def uncertain(given: Given) -> np.ndarray:
    return -np.abs(given["direct"] - 0.5)


def leaning(given: Given, *, to: str) -> np.ndarray:
    return given["direct"] if to == "yes" else -given["direct"]


def long(given: Given, *, most: bool) -> np.ndarray:
    return given["lines"] * (1.0 if most else -1.0)


def chance(given: Given, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(len(given["direct"]))


def mixed(given: Given, one: np.ndarray, other: np.ndarray, *, weight: float) -> np.ndarray:
    return weight * _places(one) + (1 - weight) * _places(other)


def buy(given: Given, order: np.ndarray, *, protocol: int, share: float) -> np.ndarray:
    bought = np.zeros(given["price"].shape, bool)
    queue = np.argsort(-order, kind="stable")
    spent = np.cumsum(given["price"][queue, protocol])
    bought[queue[spent <= share * given["budget"][0]], protocol] = True
    return bought


def also(given: Given, one: np.ndarray, other: np.ndarray, *, again: bool) -> np.ndarray:
    bought, left = one.copy(), given["budget"][0] - (one * given["price"]).sum()
    for question, protocol in zip(*np.nonzero(other), strict=True):
        price = given["price"][question, protocol]
        taken = bought[question, protocol] or (bought[question].any() and not again)
        if not taken and price <= left:
            bought[question, protocol] = True
            left -= price
    return bought


def direct(given: Given) -> np.ndarray:
    return given["direct"]


def bought(given: Given, *, centred: bool) -> np.ndarray:
    found, odds = given["bought"].astype(bool), _odds(given["judged"])
    if centred:
        for protocol in np.flatnonzero(found.any(0)):
            own = found[:, protocol]
            odds[own, protocol] -= np.median(odds[own, protocol])
    counts = found.sum(1)
    mean = (expit(odds) * found).sum(1) / np.maximum(counts, 1)
    return np.where(counts > 0, mean, given["direct"])


def only(given: Given, *, protocol: int) -> np.ndarray:
    return given["judged"][:, protocol]


def product(given: Given, one: np.ndarray, other: np.ndarray, *, weight: float) -> np.ndarray:
    return np.asarray(expit(_odds(one) + weight * _odds(other)))


def firmer(given: Given, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.where(np.abs(one - 0.5) >= np.abs(other - 0.5), one, other)


def unless_sure(given: Given, one: np.ndarray, other: np.ndarray, *, least: float) -> np.ndarray:
    return np.where(np.maximum(one, 1 - one) >= least, one, other)


def half_yes(given: Given, belief: np.ndarray, *, levels: bool) -> np.ndarray:
    odds, of = _odds(belief), given["level"] if levels else np.zeros(len(belief))
    for level in np.unique(of):
        odds[of == level] -= np.median(odds[of == level])
    return np.asarray(expit(odds))


def _odds(probability: np.ndarray) -> np.ndarray:
    return np.array(logit(np.clip(probability, SURE, 1 - SURE)))


def _places(order: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(order, kind="stable"), kind="stable") / len(order)


PARTS = {
    part.__name__: part
    for part in (
        plan, uncertain, leaning, long, chance, mixed, buy, also, direct, bought, only, product, firmer, unless_sure,
        half_yes,
    )
}  # fmt: skip
