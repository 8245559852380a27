"""A probe whose layer and strength are chosen without what it is scored on, and what the same choice finds in noise.

Whoever reports the best of many layers reports the largest of many noisy numbers. Here the choice is made in inner
folds of each training set (Varma and Simon 2006, *BMC Bioinformatics* 7), and everything is done again for labels that
were shuffled, so that the largest AUROC over layers has a null of its own (Westfall and Young 1993, *Resampling-Based
Multiple Testing*, single-step maxT). Ridge probes make that cheap: their scores are linear in the labels, so that all
labellings share one decomposition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from superalign.contracts.readings import Shuffling
from superalign.interpretability.estimators import ridge_logits
from superalign.interpretability.probes import FOLDS, check_comparable, folds_of, shuffled_within_groups

STRENGTHS = tuple(np.logspace(-5, 0, 6).tolist())  # from nearly the mean difference to nearly the discriminant
INNER_FOLDS = 4


@dataclass(frozen=True)
class Selected:
    """Out-of-fold scores for each labelling, and their AUROC within folds."""

    by_layer: Float[np.ndarray, "labellings layers examples"]  # the strength was chosen in inner folds
    by_layer_auroc: Float[np.ndarray, "labellings layers"]
    nested: Float[np.ndarray, "labellings examples"]  # layer and strength were
    nested_auroc: Float[np.ndarray, "labellings"]
    chosen: tuple[tuple[int, float], ...]  # for each fold, the first labelling's layer, by its place, and strength


def select(
    read: Float[np.ndarray, "examples layers width"],
    labellings: Bool[np.ndarray, "labellings examples"],
    groups: Sequence[str],
    strengths: Sequence[float] = STRENGTHS,
) -> Selected:
    """Choose and score a probe for each labelling, of which the first is the true one. Ties go to the lower layer and
    the stronger regularization.

    InputError where the first labelling leaves a fold nothing to learn from, or all folds nothing to compare.
    """
    fold_of = folds_of(labellings[0], groups)
    check_comparable(labellings[0], fold_of)
    inner_of = [_inner(labellings[0], groups, fold_of != fold) for fold in range(FOLDS)]
    layers = read.shape[1]
    by_layer = np.empty((len(labellings), layers, len(fold_of)), np.float32)
    strength = np.empty((FOLDS, layers, len(labellings)), np.int64)
    promise = np.empty((FOLDS, layers, len(labellings)))  # AUROC in the inner folds
    for layer in range(layers):
        features = read[:, layer]
        for fold, inner in enumerate(inner_of):
            train, test = fold_of != fold, fold_of == fold
            found = _out_of_fold(features[train], labellings[:, train], inner, strengths)
            promised = auroc_within(found, labellings[:, train], inner)
            strength[fold, layer], promise[fold, layer] = promised.argmax(0), promised.max(0)
            scores = ridge_logits(features[train], labellings[:, train], features[test], strengths)
            by_layer[:, layer, test] = scores[strength[fold, layer], np.arange(len(labellings))]
    best = promise.argmax(1)  # folds labellings
    nested = np.take_along_axis(by_layer, best[fold_of].T[:, None], 1)[:, 0]
    return Selected(
        by_layer=by_layer,
        by_layer_auroc=auroc_within(by_layer.swapaxes(0, 1), labellings, fold_of).T,
        nested=nested,
        nested_auroc=auroc_within(nested[None], labellings, fold_of)[0],
        chosen=tuple((int(best[fold, 0]), strengths[strength[fold, best[fold, 0], 0]]) for fold in range(FOLDS)),
    )


def auroc_within(
    scores: Float[np.ndarray, "sets labellings examples"],
    labellings: Bool[np.ndarray, "labellings examples"],
    fold_of: Int[np.ndarray, "examples"],
) -> Float[np.ndarray, "sets labellings"]:
    """`probes.within_folds` for many labellings at once. 0.5 for one in which no fold has both classes."""
    found, pairs = np.zeros(scores.shape[:2]), np.zeros(len(labellings))
    for fold in np.unique(fold_of):
        own = fold_of == fold
        truth = labellings[:, own]
        true = truth.sum(1)
        found += (rankdata(scores[..., own], axis=-1) * truth).sum(-1) - true * (true + 1) / 2
        pairs += true * (truth.shape[1] - true)
    return np.where(pairs > 0, found / np.maximum(pairs, 1), 0.5)


def null_labellings(
    truth: Bool[np.ndarray, "examples"], groups: Sequence[str], times: int, seed: int
) -> tuple[Bool[np.ndarray, "times examples"], Shuffling]:
    """Labels as they could be were there nothing to read: shuffled within groups; where each group is of one class, and
    there is nothing to shuffle within, dealt out to whole groups anew.
    """
    _, first, member = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    rng = np.random.default_rng(seed)
    if (truth == truth[first][member]).all():
        return np.stack([rng.permutation(truth[first])[member] for _ in range(times)]), "whole groups"
    seeds = rng.integers(2**32, size=times).tolist()
    return np.stack([shuffled_within_groups(truth, groups, each) for each in seeds]), "within groups"


def p_value(observed: float, null: Float[np.ndarray, "draws"]) -> float:
    """Share of draws, the observed value among them, that reach it (Phipson and Smyth 2010, *Statistical Applications
    in Genetics and Molecular Biology* 9): never 0, and no smaller than the draws can show.
    """
    return float((1 + (null >= observed).sum()) / (1 + len(null)))


def _inner(
    truth: Bool[np.ndarray, "examples"], groups: Sequence[str], train: Bool[np.ndarray, "examples"]
) -> Int[np.ndarray, "train"]:
    """Inner folds of a training set."""
    inner = folds_of(truth[train], [group for group, kept in zip(groups, train, strict=True) if kept], INNER_FOLDS)
    check_comparable(truth[train], inner)
    return inner


def _out_of_fold(
    features: Float[np.ndarray, "examples width"],
    labellings: Bool[np.ndarray, "labellings examples"],
    fold_of: Int[np.ndarray, "examples"],
    strengths: Sequence[float],
) -> Float[np.ndarray, "strengths labellings examples"]:
    scores = np.empty((len(strengths), *labellings.shape), np.float32)
    for fold in range(INNER_FOLDS):
        train, test = fold_of != fold, fold_of == fold
        scores[..., test] = ridge_logits(features[train], labellings[:, train], features[test], strengths)
    return scores
