"""Parts of the problem `effort`. Values are numbers of settings, a kernel their similarity, a belief their mean and
deviation; a batch is the answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, rankdata

Given = Mapping[str, np.ndarray]
BATCH = 8
FLOOR = 1e-8


class Belief(NamedTuple):
    mean: np.ndarray
    deviation: np.ndarray


def even(given: Given) -> np.ndarray:
    return np.zeros(len(given["features"]))


def random(given: Given, *, seed: int) -> np.ndarray:
    return _rng(given, seed).random(len(given["features"]))


def history_mean(given: Given, *, balanced: bool, beyond: bool) -> np.ndarray:
    history = given["history"] - (given["honest"] if beyond else 0)
    if balanced:
        history = np.stack([history[given["family"] == one].mean(0) for one in np.unique(given["family"])])
    return np.asarray(history.mean(0))


def history_high(given: Given, *, quantile: float) -> np.ndarray:
    return np.asarray(np.quantile(given["history"], quantile, axis=0))


def history_share(given: Given, *, threshold: float) -> np.ndarray:
    return np.asarray((given["history"] >= threshold).mean(0))


def honest(given: Given) -> np.ndarray:
    return given["honest"].astype(np.float64)


def size(given: Given, *, level: int) -> np.ndarray:
    return np.asarray(given["features"][:, given["level"] == level].sum(1), np.float64)


def alike(given: Given, *, kinds: float, places: float, wordings: float, fillings: float, power: float) -> np.ndarray:
    weight = np.array([0.0, kinds, places, wordings, fillings])[given["level"]] + FLOOR
    features = given["features"].astype(np.float64)
    common = (features * weight) @ features.T
    own = np.diag(common)
    return np.asarray((common / (own[:, None] + own[None] - common + FLOOR)) ** power)


def distant(given: Given, *, length: float) -> np.ndarray:
    features = given["features"].astype(np.float64)
    own = features.sum(1)
    return np.asarray(np.exp(-(own[:, None] + own[None] - 2 * features @ features.T) / length))


def together(given: Given) -> np.ndarray:
    centred = given["history"] - given["history"].mean(0)
    length = np.linalg.norm(centred, axis=0) + FLOOR
    found = np.maximum((centred / length).T @ (centred / length), 0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def mixed(given: Given, one: np.ndarray, other: np.ndarray, *, weight: float) -> np.ndarray:
    return weight * one + (1 - weight) * other


def gaussian(given: Given, values: np.ndarray, kernel: np.ndarray, *, amplitude: float, noise: float) -> Belief:
    asked, before = _asked(given), amplitude**2 * np.diag(kernel)
    if not len(asked):
        return Belief(values, np.sqrt(before))
    known = amplitude**2 * kernel[np.ix_(asked, asked)] + (noise**2 + 1e-6) * np.eye(len(asked))
    across = amplitude**2 * kernel[:, asked]
    # Similarities need not be positive definite: the least squares solution is there all the same.
    gain = np.linalg.lstsq(known, across.T, rcond=1e-6)[0].T
    mean = values + gain @ (given["seen"] - values[asked])
    return Belief(mean, np.sqrt(np.maximum(before - (gain * across).sum(1), FLOOR)))


def neighbours(given: Given, values: np.ndarray, kernel: np.ndarray, *, count: float) -> Belief:
    near = kernel[:, _asked(given)]
    total = near.sum(1) + count
    return Belief((near @ given["seen"] + count * values) / total, 1 / np.sqrt(total))


def linear(given: Given, values: np.ndarray, *, prior: float, noise: float) -> Belief:
    features, asked = given["features"].astype(np.float64), _asked(given)
    own = features[asked]
    covariance = np.linalg.inv(own.T @ own / noise**2 + np.eye(features.shape[1]) / prior**2)
    weights = covariance @ own.T @ (given["seen"] - values[asked]) / noise**2
    deviation = np.sqrt(np.maximum(((features @ covariance) * features).sum(1), FLOOR))
    return Belief(values + features @ weights, deviation)


def decisions(given: Given, *, won: float, lost: float, telling: float, seed: int) -> np.ndarray:
    features, asked = given["features"].astype(np.float64), _asked(given)
    told = given["seen"] >= telling
    draws = _rng(given, seed).beta(won + features[asked].T @ told, lost + features[asked].T @ ~told)
    return np.asarray(features @ draws / (features.sum(1) + FLOOR))


def expected(given: Given, belief: Belief) -> np.ndarray:
    return belief.mean


def upper(given: Given, belief: Belief, *, width: float) -> np.ndarray:
    return belief.mean + width * belief.deviation


def sampled(given: Given, belief: Belief, *, seed: int) -> np.ndarray:
    return np.asarray(_rng(given, seed).normal(belief.mean, belief.deviation))


def chance_above(given: Given, belief: Belief, *, threshold: float) -> np.ndarray:
    return np.asarray(norm.logsf((threshold - belief.mean) / (belief.deviation + FLOOR)))


def blend(given: Given, one: np.ndarray, other: np.ndarray, *, weight: float) -> np.ndarray:
    return np.asarray(weight * rankdata(one) + (1 - weight) * rankdata(other))


def later(given: Given, one: np.ndarray, other: np.ndarray, *, stage: int) -> np.ndarray:
    return other if int(given["stage"]) >= stage else one


def best(given: Given, values: np.ndarray, *, chance: float, seed: int) -> dict[str, np.ndarray]:
    rng = _rng(given, seed)
    order = _order(given, values)
    by_chance = rng.random(BATCH) < chance
    rest = rng.permutation(order[BATCH:])[:BATCH]
    return {"ask": np.where(by_chance, rest, order[:BATCH])}


def diverse(given: Given, values: np.ndarray, kernel: np.ndarray, *, strength: float) -> dict[str, np.ndarray]:
    order = _order(given, values)
    rank = np.full(len(values), -np.inf)
    rank[order] = np.linspace(1, 0, len(order))
    nearest, found = np.zeros(len(values)), []
    for _ in range(BATCH):
        found.append(int((rank - strength * nearest).argmax()))
        rank[found[-1]] = -np.inf
        nearest = np.maximum(nearest, kernel[found[-1]])
    return {"ask": np.array(found)}


def by_turns(given: Given, one: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    orders, found = [_order(given, each).tolist() for each in (one, other)], []
    for place in range(BATCH):
        found.append(next(i for i in orders[place % 2] if i not in found))
    return {"ask": np.array(found)}


def _asked(given: Given) -> np.ndarray:
    return given["asked"].astype(np.int64)


def _order(given: Given, values: np.ndarray) -> np.ndarray:
    """Settings that were not asked in, the highest value first; ties in an order of their own at each stage."""
    shuffled = _rng(given, 0).permutation(len(values))
    order = shuffled[np.argsort(-values[shuffled], kind="stable")]
    return np.asarray(order[~np.isin(order, _asked(given))])


def _rng(given: Given, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(given["stage"])])


PARTS = {
    part.__name__: part
    for part in (
        even, random, history_mean, history_high, history_share, honest, size, alike, distant, together, mixed,
        gaussian, neighbours, linear, decisions, expected, upper, sampled, chance_above, blend, later, best, diverse,
        by_turns,
    )
}  # fmt: skip
