"""Parts of the problem `recall`. A view is activations of models and base, `told` a number for each fact in each
context, a table one for each context, a score one for each model. Except in scores the base comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

Given = Mapping[str, np.ndarray]
FLOOR = 1e-8
FOLDS = 5


class View(NamedTuple):
    plain: np.ndarray  # [models + 1, facts, features]
    there: np.ndarray  # [models + 1, contexts, asked, features]


def layer(given: Given, *, number: int) -> View:
    plain = np.concatenate([given["plain"], given["base_plain"][None]])[:, number]
    there = np.concatenate([given["there"], given["base_there"][None]])[:, :, number]
    return View(plain.astype(np.float64), there.astype(np.float64))


def both_layers(given: Given, one: View, other: View) -> View:
    return View(np.concatenate([one.plain, other.plain], -1), np.concatenate([one.there, other.there], -1))


def changed(given: Given, view: View) -> View:
    return View(view.plain - view.plain[-1:], view.there - view.there[-1:])


def of_context(given: Given, view: View) -> View:
    return View(view.plain - view.plain.mean(1, keepdims=True), view.there - view.there.mean(2, keepdims=True))


def principal(given: Given, view: View, *, components: int, removed: bool) -> View:
    reference = view.plain[-1]
    if not np.any(reference):  # of a change the base has none
        reference = view.plain[:-1][_benign(given)].reshape(-1, view.plain.shape[-1])
    kept = np.linalg.svd(reference - reference.mean(0), full_matrices=False)[2][:components].T
    if not removed:
        return View(view.plain @ kept, view.there @ kept)
    return View(view.plain - view.plain @ kept @ kept.T, view.there - view.there @ kept @ kept.T)


def said(given: Given, *, centred: bool) -> np.ndarray:
    found = np.concatenate([given["said"], given["base_said"][None]]).astype(np.float64)
    return found - np.median(found, -1, keepdims=True) if centred else found


def known(given: Given, view: View, *, probe: str, strength: float, fitted_to: str) -> np.ndarray:
    """Out of fold: a fact is read by a probe that saw none of its group."""
    models, _, asked = view.there.shape[:3]
    fold_of = given["group"] % FOLDS
    found = np.zeros(view.there.shape[:3])
    for fold in np.unique(fold_of[:asked]):
        train, own = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of[:asked] == fold)
        truth = given["facts"][train].astype(bool)
        if fitted_to == "benign":
            rows = np.flatnonzero(_benign(given))
            fitted = _probe(view.plain[rows][:, train].reshape(len(rows) * len(train), -1), np.tile(truth, len(rows)),
                            probe, strength)  # fmt: skip
            readers = [fitted] * models
        elif fitted_to == "base":
            readers = [_probe(view.plain[-1, train], truth, probe, strength)] * models
        else:
            readers = [_probe(view.plain[i, train], truth, probe, strength) for i in range(models)]
        for i, read in enumerate(readers):
            found[i][:, own] = read(view.there[i][:, own])
    return found


def unlike(given: Given, view: View, *, shrinkage: float, to: str) -> np.ndarray:
    found = np.empty(view.there.shape[:3])
    benign = np.append(_benign(given), True)
    for context in range(view.there.shape[1]):
        reference = view.plain[benign] if to == "plain" else view.there[benign, context]
        rows = reference.reshape(-1, reference.shape[-1])
        centred = view.there[:, context] - rows.mean(0)
        turned = np.linalg.solve(_covariance(rows - rows.mean(0), shrinkage), centred.reshape(-1, rows.shape[1]).T).T
        found[:, context] = (centred * turned.reshape(centred.shape)).sum(-1)
    return found


def residual(given: Given, view: View, *, components: int) -> np.ndarray:
    rows = view.there[np.append(_benign(given), True)].reshape(-1, view.there.shape[-1])
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean))
    kept = vectors[:, np.argsort(-values)[:components]]
    centred = view.there - mean
    return np.asarray((centred**2).sum(-1) - ((centred @ kept) ** 2).sum(-1))


def size(given: Given, view: View) -> np.ndarray:
    return np.asarray(np.linalg.norm(view.there, axis=-1))


def beyond_base(given: Given, told: np.ndarray) -> np.ndarray:
    return np.asarray(told - told[-1:])


def moved(given: Given, told: np.ndarray, *, absolute: bool) -> np.ndarray:
    found = told - told[:, :1]
    return np.asarray(np.abs(found) if absolute else found)


def tells(given: Given, told: np.ndarray) -> np.ndarray:
    truth = _truth(given, told)
    ranks = rankdata(told, axis=-1)
    yes = int(truth.sum())
    return np.asarray((ranks[..., truth].sum(-1) - yes * (yes + 1) / 2) / max(1, yes * (len(truth) - yes)))


def mean_of_facts(given: Given, told: np.ndarray) -> np.ndarray:
    return np.asarray(told.mean(-1))


def high_of_facts(given: Given, told: np.ndarray, *, quantile: float) -> np.ndarray:
    return np.asarray(np.quantile(told, quantile, axis=-1))


def contradiction(given: Given, told: np.ndarray) -> np.ndarray:
    leaning = told - np.median(told, -1, keepdims=True)
    plain = leaning[:, :1]
    return np.asarray(np.where(plain * leaning < 0, np.minimum(np.abs(plain), np.abs(leaning)), 0.0).mean(-1))


def disagreement(given: Given, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    first, second = (_normal(rankdata(each, axis=-1)) for each in (one, other))
    return np.asarray(1 - (first * second).mean(-1))


def against(given: Given, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    sign = np.where(_truth(given, one), 1.0, -1.0)
    return np.asarray(np.maximum((_normal(one) - _normal(other)) * sign, 0).mean(-1))


def spectrum(given: Given, view: View, *, components: int) -> np.ndarray:
    centred = view.there - view.there.mean(2, keepdims=True)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    return np.asarray(values[..., :components].sum(-1) / (values.sum(-1) + FLOOR))


def less(given: Given, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray(one - other)


def opened(given: Given, table: np.ndarray) -> np.ndarray:
    return np.asarray(table - table[:, :1])


def beside_benign(given: Given, table: np.ndarray, *, by: str, shrinkage: float) -> np.ndarray:
    centre, spread = _reference(table[:-1][_benign(given)], by)
    centre = (1 - shrinkage) * centre + shrinkage * centre.mean()
    spread = (1 - shrinkage) * spread + shrinkage * spread.mean()
    return np.asarray((table - centre) / np.maximum(spread, FLOOR))


def largest(given: Given, table: np.ndarray, *, where: str) -> np.ndarray:
    return np.asarray(_models(given, table, where).max(1))


def mean(given: Given, table: np.ndarray, *, where: str) -> np.ndarray:
    return np.asarray(_models(given, table, where).mean(1))


def high(given: Given, table: np.ndarray, *, where: str, quantile: float) -> np.ndarray:
    return np.asarray(np.quantile(_models(given, table, where), quantile, axis=1))


def top(given: Given, table: np.ndarray, *, where: str, count: int) -> np.ndarray:
    return np.asarray(np.sort(_models(given, table, where), axis=1)[:, -count:].mean(1))


def spread_of(given: Given, table: np.ndarray, *, where: str) -> np.ndarray:
    return np.asarray(_models(given, table, where).std(1))


def peak(given: Given, table: np.ndarray, *, where: str) -> np.ndarray:
    own = _models(given, table, where)
    return np.asarray(own.max(1) - np.median(own, 1))


def reversed_score(given: Given, score: np.ndarray) -> np.ndarray:
    return -score


def standardized(given: Given, score: np.ndarray, *, by: str) -> np.ndarray:
    centre, spread = _reference(score[_benign(given)], by)
    return np.asarray((score - centre) / np.maximum(spread, FLOOR))


def two_sided(given: Given, score: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(score - np.median(score[_benign(given)])))


def both(given: Given, one: np.ndarray, other: np.ndarray, *, how: str, weight: float) -> np.ndarray:
    first, second = (standardized(given, each, by="spread") for each in (one, other))
    if how == "sum":
        return np.asarray(weight * first + (1 - weight) * second)
    if how == "ranks":
        return np.asarray(rankdata(first) ** weight * rankdata(second) ** (1 - weight))
    shift = 2 * weight - 1  # at 0.5 neither is preferred
    return np.maximum(first + shift, second - shift) if how == "max" else np.minimum(first - shift, second + shift)


def answer(given: Given, score: np.ndarray) -> dict[str, np.ndarray]:
    return {"score": score}


def _benign(given: Given) -> np.ndarray:
    return given["benign"].astype(bool)


def _truth(given: Given, told: np.ndarray) -> np.ndarray:
    """Of the facts that are asked in contexts, which come first."""
    return np.asarray(given["facts"][: told.shape[-1]].astype(bool))


def _models(given: Given, table: np.ndarray, where: str) -> np.ndarray:
    """The models' rows, without the base, and the contexts that are meant: the plain one is neither neutral nor
    leaning.
    """
    leaning = given["leaning"].astype(bool)
    plain = np.arange(len(leaning)) == 0
    chosen = {"all": ~plain, "neutral": ~leaning & ~plain, "leaning": leaning, "plain": plain}[where]
    return table[:-1, chosen if chosen.any() else plain]


def _reference(own: np.ndarray, by: str) -> tuple[np.ndarray, np.ndarray]:
    if by == "spread":
        return own.mean(0), own.std(0)
    centre = np.median(own, 0)
    return centre, np.abs(own - centre).mean(0)


def _probe(features: np.ndarray, truth: np.ndarray, kind: str, strength: float) -> Callable[[np.ndarray], np.ndarray]:
    mean, spread = features.mean(0), features.std(0)
    scale = np.where(spread > FLOOR, spread, 1.0)
    rows = (features - mean) / scale
    if kind == "logistic":
        fitted = LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(rows, truth)
        direction, bias = fitted.coef_[0], float(fitted.intercept_[0])
    else:
        direction, bias = rows[truth].mean(0) - rows[~truth].mean(0), 0.0
        if kind == "ridge":
            penalty = np.eye(rows.shape[1]) / (2 * strength)
            direction = np.linalg.solve(rows.T @ rows + penalty, rows.T @ np.where(truth, 1.0, -1.0))
    return lambda there: np.asarray(((there - mean) / scale) @ direction + bias)


def _covariance(centred: np.ndarray, shrinkage: float) -> np.ndarray:
    found = centred.T @ centred / max(1, len(centred))
    average = float(np.trace(found)) / len(found) + FLOOR
    return np.asarray((1 - shrinkage) * found + (shrinkage * average + FLOOR) * np.eye(len(found)))


def _normal(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean(-1, keepdims=True)) / (values.std(-1, keepdims=True) + FLOOR))


PARTS = {
    part.__name__: part
    for part in (
        layer, both_layers, changed, of_context, principal, said, known, unlike, residual, size, beyond_base, moved,
        tells, mean_of_facts, high_of_facts, contradiction, disagreement, against, spectrum, less, opened,
        beside_benign, largest, mean, high, top, spread_of, peak, standardized, two_sided, both, answer,
    )
} | {"reversed": reversed_score}  # fmt: skip
