"""Linear probes of the residual stream, always out of fold by group, always beside what the text alone tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GroupKFold

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Question
from superalign.interpretability.estimators import LinearProbe, LogisticProbe
from superalign.tasks.metrics import Metric, auroc, percentile_interval, point

FOLDS = 5
LOGISTIC = LogisticProbe()


def out_of_fold(
    features: Float[np.ndarray, "questions features"],
    truth: Bool[np.ndarray, "questions"],
    groups: Sequence[str],
    probe: LinearProbe = LOGISTIC,
) -> Float[np.ndarray, "questions"]:
    """Each question's score by a probe that saw no question of its group."""
    fold_of, scores = folds_of(truth, groups), np.zeros(len(truth))
    for fold in range(FOLDS):
        train, test = fold_of != fold, fold_of == fold
        scores[test] = clone(probe).fit(features[train], truth[train]).decision_function(features[test])
    return scores


def folds_of(
    truth: Bool[np.ndarray, "questions"], groups: Sequence[str], folds: int = FOLDS
) -> Int[np.ndarray, "questions"]:
    """In which fold each question is scored. InputError where some probe would have nothing to learn from."""
    if (count := len(set(groups))) < folds:
        raise InputError(f"{count} groups can't be divided into {folds} folds.", where="probe", fix="Give more groups.")
    fold_of = np.empty(len(truth), np.int64)
    for fold, (train, test) in enumerate(GroupKFold(folds).split(truth, truth, np.asarray(groups))):
        fold_of[test] = fold
        if truth[train].all() or not truth[train].any():
            raise InputError(
                f"Without fold {fold} all answers are of one class.", where="probe", fix="Give more groups with both."
            )
    return fold_of


def check_comparable(truth: Bool[np.ndarray, "questions"], fold_of: Int[np.ndarray, "questions"]) -> None:
    """InputError unless AUROC within folds is defined: some fold has both answers."""
    if not any(len(np.unique(truth[fold_of == fold])) > 1 for fold in np.unique(fold_of)):
        raise InputError(
            "Each fold has answers of one class only.", where="probe", fix="Give groups with both answers, or more."
        )


def within_folds(fold_of: Int[np.ndarray, "questions"]) -> Metric:
    """AUROC over the pairs of questions that one probe scored: those of a fold.

    Across folds scores are not of one scale, and a fold's bias falls where its labels rise, so that pooled AUROC is
    below 0.5 where there is nothing to read.
    """

    def metric(
        margin: Float[np.ndarray, "questions"],
        truth: Bool[np.ndarray, "questions"],
        weights: Float[np.ndarray, "resamples questions"],
    ) -> Float[np.ndarray, "resamples"]:
        found, pairs = np.zeros((2, len(weights)))
        for fold in np.unique(fold_of):
            own = fold_of == fold
            count = weights[:, own & truth].sum(1) * weights[:, own & ~truth].sum(1)
            found += np.where(count > 0, auroc(margin[own], truth[own], weights[:, own]), 0) * count
            pairs += count
        with np.errstate(invalid="ignore"):
            return np.asarray(found / pairs)

    return metric


def interval_within(
    scores: Float[np.ndarray, "questions"],
    truth: Bool[np.ndarray, "questions"],
    fold_of: Int[np.ndarray, "questions"],
    weights: Float[np.ndarray, "resamples questions"],
) -> Interval:
    """AUROC within folds, with a percentile interval from resamples of whole groups (`metrics.group_weights`)."""
    metric = within_folds(fold_of)
    return percentile_interval(point(metric, scores, truth), metric(scores, truth, weights))


def probe_auroc(features: np.ndarray, truth: Bool[np.ndarray, "questions"], groups: Sequence[str]) -> float:
    """Out-of-fold AUROC of a probe on `features`."""
    return point(auroc, out_of_fold(features, truth, groups), truth)


def text_features(prompts: Sequence[str]) -> dict[str, Float[np.ndarray, "prompts features"]]:
    """What the text alone shows: its length in characters and words, and which words it has."""
    words = CountVectorizer(token_pattern=r"\S+").fit_transform(prompts).toarray().astype(np.float64)
    lengths = np.array([[len(prompt), len(prompt.split())] for prompt in prompts], dtype=np.float64)
    return {"length": lengths, "bag of words": words}


def text_baselines(
    questions: Sequence[Question], truth: Bool[np.ndarray, "questions"], groups: Sequence[str]
) -> dict[str, float]:
    """What length and bag of words tell of the truth: a probe that does no better reads the text, not the model."""
    found = text_features([question.prompt for question in questions])
    return {name: probe_auroc(features, truth, groups) for name, features in found.items()}


def shuffled_within_groups(truth: Bool[np.ndarray, "questions"], groups: Sequence[str], seed: int) -> np.ndarray:
    """Labels that keep each group's balance and nothing else: the null of every probe."""
    rng = np.random.default_rng(seed)
    shuffled = truth.copy()
    names = np.asarray(groups)
    for group in dict.fromkeys(groups):
        own = np.flatnonzero(names == group)
        shuffled[own] = rng.permutation(truth[own])
    return shuffled
