"""Parts of the problem `transfer`. A view is activations of sources and target as [questions, features]; scores are the
answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

Given = Mapping[str, np.ndarray]
Scores = dict[str, np.ndarray]
FLOOR = 1e-8


class View(NamedTuple):
    source: np.ndarray
    target: np.ndarray


def layer(given: Given, *, number: int) -> View:
    return View(given["source"][:, number].astype(np.float64), given["target"][:, number].astype(np.float64))


def beside(given: Given, one: View, other: View) -> View:
    return View(np.hstack([one.source, other.source]), np.hstack([one.target, other.target]))


def standardized(given: Given, view: View, *, within: str, scaled: bool) -> View:
    if within == "sources":
        mean, spread = view.source.mean(0), _spread(view.source, scaled)
        return View((view.source - mean) / spread, (view.target - mean) / spread)
    source = np.empty_like(view.source)
    for own in _tasks(given):
        source[own] = (view.source[own] - view.source[own].mean(0)) / _spread(view.source[own], scaled)
    return View(source, (view.target - view.target.mean(0)) / _spread(view.target, scaled))


def whitened(given: Given, view: View, *, by: str, shrinkage: float) -> View:
    turn = _power(_covariance(_chosen(given, view, by), shrinkage), -0.5)
    return View(view.source @ turn, view.target @ turn)


def recoloured(given: Given, view: View, *, shrinkage: float) -> View:
    """CORAL: Sun, Feng and Saenko 2016 (arXiv 1511.05547), algorithm 1."""
    off = _power(_covariance(_chosen(given, view, "sources"), shrinkage), -0.5)
    on = _power(_covariance(_chosen(given, view, "target"), shrinkage), 0.5)
    mean = view.source.mean(0)
    return View((view.source - mean) @ off @ on + mean, view.target)


def principal(given: Given, view: View, *, of: str, components: int, removed: bool) -> View:
    _, _, right = np.linalg.svd(_chosen(given, view, of), full_matrices=False)
    kept = right[:components].T
    if not removed:
        return View(view.source @ kept, view.target @ kept)
    return View(view.source - view.source @ kept @ kept.T, view.target - view.target @ kept @ kept.T)


def mean_difference(given: Given, view: View, *, of_length_one: bool) -> Scores:
    truth, direction = given["source_truth"].astype(bool), np.zeros(view.source.shape[1])
    for own in _tasks(given):
        found = view.source[own & truth].mean(0) - view.source[own & ~truth].mean(0)
        direction += found / (np.linalg.norm(found) + FLOOR if of_length_one else 1)
    return {"score": view.target @ direction}


def discriminant(given: Given, view: View, *, shrinkage: float) -> Scores:
    truth = given["source_truth"].astype(bool)
    yes, no = view.source[truth], view.source[~truth]
    within = np.vstack([yes - yes.mean(0), no - no.mean(0)])
    return {"score": view.target @ np.linalg.solve(_covariance(within, shrinkage), yes.mean(0) - no.mean(0))}


def ridge(given: Given, view: View, *, strength: float) -> Scores:
    return _ridge(view.source, given["source_truth"].astype(bool), view.target, strength)


def logistic(given: Given, view: View, *, strength: float) -> Scores:
    mean, spread = view.source.mean(0), _spread(view.source, True)
    fitted = LogisticRegression(C=strength, max_iter=200, tol=1e-3)
    fitted.fit((view.source - mean) / spread, given["source_truth"].astype(bool))
    return {"score": fitted.decision_function((view.target - mean) / spread)}


def neighbours(given: Given, view: View, *, count: int) -> Scores:
    near = _unit(view.target) @ _unit(view.source).T
    nearest = np.argsort(-near, axis=1, kind="stable")[:, :count]
    return {"score": given["source_truth"].astype(np.float64)[nearest].mean(1)}


def salient(given: Given, view: View, scores: Scores, *, among: int) -> Scores:
    centred = view.target - view.target.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = left[:, :among] * values[:among]
    along = _normal(scores["score"]) @ left[:, :among]
    best = int(np.abs(along).argmax())
    return {"score": found[:, best] * (1 if along[best] >= 0 else -1)}


def retaught(given: Given, view: View, scores: Scores, *, share: float, strength: float) -> Scores:
    order = np.argsort(scores["score"], kind="stable")
    count = max(2, round(share * len(order)))
    taken = np.concatenate([order[:count], order[-count:]])
    labels = np.repeat([False, True], count)
    return _ridge(view.target[taken], labels, view.target, strength)


def blend(given: Given, one: Scores, other: Scores, *, weight: float) -> Scores:
    return {"score": weight * _normal(one["score"]) + (1 - weight) * _normal(other["score"])}


def _tasks(given: Given) -> list[np.ndarray]:
    """Which sources are of each task."""
    return [given["source_task"] == task for task in np.unique(given["source_task"])]


def _chosen(given: Given, view: View, of: str) -> np.ndarray:
    """What is of sources, target or both, each task less its mean."""
    parts = [view.source[own] for own in _tasks(given)] if of != "target" else []
    parts += [view.target] if of != "sources" else []
    return np.vstack([part - part.mean(0) for part in parts])


def _covariance(centred: np.ndarray, shrinkage: float) -> np.ndarray:
    found = centred.T @ centred / max(1, len(centred))
    size = float(np.trace(found)) / len(found) + FLOOR
    return np.asarray((1 - shrinkage) * found + (shrinkage * size + FLOOR) * np.eye(len(found)))


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.maximum(values, FLOOR) ** exponent) @ vectors.T)


def _ridge(train: np.ndarray, labels: np.ndarray, test: np.ndarray, strength: float) -> Scores:
    mean, spread = train.mean(0), _spread(train, True)
    fitted = Ridge(alpha=1 / (2 * strength)).fit((train - mean) / spread, np.where(labels, 1.0, -1.0))
    return {"score": fitted.predict((test - mean) / spread)}


def _spread(features: np.ndarray, scaled: bool) -> np.ndarray:
    found = features.std(0)
    return np.where(found > FLOOR, found, 1.0) if scaled else np.ones_like(found)


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + FLOOR))


def _normal(scores: np.ndarray) -> np.ndarray:
    return np.asarray((scores - scores.mean()) / (scores.std() + FLOOR))


PARTS = {
    part.__name__: part
    for part in (
        layer, beside, standardized, whitened, recoloured, principal, mean_difference, discriminant, ridge, logistic,
        neighbours, salient, retaught, blend,
    )
}  # fmt: skip
