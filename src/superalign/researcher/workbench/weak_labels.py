"""Parts of the problems `pgr` and `drift`, where students learn from labels that may be wrong. Features are of training
and test questions; labels are probabilities with weights; a prediction is the answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression, Ridge

Given = Mapping[str, np.ndarray]
Prediction = dict[str, np.ndarray]
FLOOR = 1e-8
SURE = 1e-4  # no probability is nearer to 0 or 1
FOLDS = 5


class Features(NamedTuple):
    train: np.ndarray
    test: np.ndarray


class Labels(NamedTuple):
    probability: np.ndarray
    weight: np.ndarray


def layer(given: Given, *, number: int) -> Features:
    train, test = given["train"][:, number].astype(np.float64), given["test"][:, number].astype(np.float64)
    mean, spread = train.mean(0), _spread(train)
    return Features((train - mean) / spread, (test - mean) / spread)


def beside(given: Given, one: Features, other: Features) -> Features:
    return Features(np.hstack([one.train, other.train]), np.hstack([one.test, other.test]))


def principal(given: Given, features: Features, *, components: int, whitened: bool) -> Features:
    both = np.vstack(features)
    mean = both.mean(0)
    kept = np.linalg.svd(both - mean, full_matrices=False)[2][:components].T
    train, test = ((own - mean) @ kept for own in features)
    spread = _spread(train) if whitened else 1.0
    return Features(train / spread, test / spread)


def labels(given: Given, *, of: str) -> Labels:
    return Labels(np.clip(given[of], SURE, 1 - SURE), np.ones(len(given[of])))


def hardened(given: Given, labels: Labels) -> Labels:
    return labels._replace(probability=(labels.probability > 0.5).astype(np.float64))


def centred(given: Given, labels: Labels) -> Labels:
    odds = _odds(labels.probability)
    return labels._replace(probability=expit(odds - np.median(odds)))


def sharpened(given: Given, labels: Labels, *, by: float) -> Labels:
    return labels._replace(probability=expit(by * _odds(labels.probability)))


def confident(given: Given, labels: Labels, *, share: float) -> Labels:
    kept = np.zeros(len(labels.weight))
    for side in (labels.probability > 0.5, labels.probability <= 0.5):
        own = np.flatnonzero(side)
        order = own[np.argsort(-np.abs(labels.probability[own] - 0.5), kind="stable")]
        kept[order[: max(2, round(share * len(own)))]] = 1
    return labels._replace(weight=labels.weight * kept)


def weighted(given: Given, labels: Labels, *, power: float) -> Labels:
    return labels._replace(weight=labels.weight * np.abs(2 * labels.probability - 1) ** power + FLOOR)


def consistent(given: Given, labels: Labels, *, weight: float) -> Labels:
    opposite = np.empty_like(labels.probability)
    for pair in np.unique(given["pair"]):
        own = np.flatnonzero(given["pair"] == pair)
        opposite[own] = 1 - labels.probability[own[::-1]]
    return _blended(labels, opposite, weight)


def smoothed(given: Given, features: Features, labels: Labels, *, count: int, weight: float) -> Labels:
    unit = features.train / (np.linalg.norm(features.train, axis=1, keepdims=True) + FLOOR)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    nearest = np.argsort(-near, axis=1, kind="stable")[:, :count]
    return _blended(labels, labels.probability[nearest].mean(1), weight)


def relabelled(
    given: Given, features: Features, labels: Labels, *, strength: float, weight: float, rounds: int
) -> Labels:
    for _ in range(rounds):
        labels = _blended(labels, _out_of_fold(given, features, labels, strength), weight)
    return labels


def cleaned(given: Given, features: Features, labels: Labels, *, strength: float) -> Labels:
    said, yes = _out_of_fold(given, features, labels, strength), labels.probability > 0.5
    if yes.all() or not yes.any():
        return labels
    doubted = np.where(yes, 1 - said >= (1 - said[~yes]).mean(), said >= said[yes].mean())
    return labels._replace(weight=labels.weight * ~(doubted & ((said > 0.5) != yes)))


def mixed(given: Given, one: Labels, other: Labels, *, weight: float) -> Labels:
    return Labels(weight * one.probability + (1 - weight) * other.probability, np.maximum(one.weight, other.weight))


def product(given: Given, one: Labels, other: Labels) -> Labels:
    return Labels(expit(_odds(one.probability) + _odds(other.probability)), one.weight * other.weight)


def logistic(given: Given, features: Features, labels: Labels, *, strength: float) -> Prediction:
    return {"probability": expit(_logistic(features.train, labels, features.test, strength))}


def ridge(given: Given, features: Features, labels: Labels, *, strength: float) -> Prediction:
    fitted = Ridge(alpha=1 / (2 * strength))
    fitted.fit(features.train, 2 * labels.probability - 1, sample_weight=labels.weight + FLOOR)
    return {"probability": expit(2 * fitted.predict(features.test))}


def mean_difference(given: Given, features: Features, labels: Labels) -> Prediction:
    yes, no = labels.weight * labels.probability + FLOOR, labels.weight * (1 - labels.probability) + FLOOR
    true, false = yes @ features.train / yes.sum(), no @ features.train / no.sum()
    odds = (features.test - (true + false) / 2) @ (true - false)
    return {"probability": expit(odds / (np.abs(odds).mean() + FLOOR))}


def blend(given: Given, one: Prediction, other: Prediction, *, weight: float) -> Prediction:
    first, second = (_odds(own["probability"]) for own in (one, other))
    odds = weight * first / (first.std() + FLOOR) + (1 - weight) * second / (second.std() + FLOOR)
    return {"probability": expit(odds)}


def half_yes(given: Given, prediction: Prediction) -> Prediction:
    odds = _odds(prediction["probability"])
    return {"probability": expit(odds - np.median(odds))}


def _out_of_fold(given: Given, features: Features, labels: Labels, strength: float) -> np.ndarray:
    """What probes say of each question that were taught the labels of other pairs."""
    fold_of, said = given["pair"] % FOLDS, np.empty_like(labels.probability)
    for fold in np.unique(fold_of):
        own = fold_of == fold
        others = Labels(labels.probability[~own], labels.weight[~own])
        said[own] = expit(_logistic(features.train[~own], others, features.train[own], strength))
    return said


def _logistic(train: np.ndarray, labels: Labels, test: np.ndarray, strength: float) -> np.ndarray:
    """Log odds. Every question is learnt as yes and as no, each by as much as its label says."""
    weights = np.concatenate([labels.weight * labels.probability, labels.weight * (1 - labels.probability)]) + FLOOR
    fitted = LogisticRegression(C=strength, max_iter=200, tol=1e-6)  # labels near 0.5 pull weakly
    fitted.fit(np.vstack([train, train]), np.repeat([True, False], len(train)), sample_weight=weights)
    return np.asarray(fitted.decision_function(test))


def _blended(labels: Labels, other: np.ndarray, weight: float) -> Labels:
    return labels._replace(probability=(1 - weight) * labels.probability + weight * other)


def _odds(probability: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(probability, SURE, 1 - SURE)))


def _spread(features: np.ndarray) -> np.ndarray:
    found = features.std(0)
    return np.where(found > FLOOR, found, 1.0)


PARTS = {
    part.__name__: part
    for part in (
        layer, beside, principal, labels, hardened, centred, sharpened, confident, weighted, consistent, smoothed,
        relabelled, cleaned, mixed, product, logistic, ridge, mean_difference, blend, half_yes,
    )
}  # fmt: skip
