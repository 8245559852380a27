"""Linear probes of the residual stream, always out of fold by group, always beside what the text alone tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from superalign.contracts.records import Question
from superalign.tasks.metrics import auroc, point

FOLDS = 5
REGULARIZATION = 1e-3  # strong: a few hundred examples in some hundred dimensions; fixed, never tuned


def out_of_fold(
    features: Float[np.ndarray, "questions features"], truth: Bool[np.ndarray, "questions"], groups: Sequence[str]
) -> Float[np.ndarray, "questions"]:
    """Each question's score by a logistic probe that saw no question of its group."""
    scores = np.zeros(len(truth))
    for train, test in GroupKFold(FOLDS).split(features, truth, groups):
        direction, bias = linear_probe(features[train], truth[train])
        scores[test] = features[test] @ direction + bias
    return scores


def linear_probe(
    features: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"]
) -> tuple[Float[np.ndarray, "features"], float]:
    """Direction and bias of a logistic probe on standardized features, as they apply to the features themselves."""
    scaler = StandardScaler().fit(features)
    fitted = LogisticRegression(C=REGULARIZATION, max_iter=500).fit(scaler.transform(features), truth)
    direction = fitted.coef_[0] / scaler.scale_
    return direction, float(fitted.intercept_[0] - direction @ scaler.mean_)


def probe_auroc(features: np.ndarray, truth: Bool[np.ndarray, "questions"], groups: Sequence[str]) -> float:
    """Out-of-fold AUROC of a probe on `features`."""
    return point(auroc, out_of_fold(features, truth, groups), truth)


def text_baselines(
    questions: Sequence[Question], truth: Bool[np.ndarray, "questions"], groups: Sequence[str]
) -> dict[str, float]:
    """What length and bag of words tell of the truth: a probe that does no better reads the text, not the model."""
    prompts = [question.prompt for question in questions]
    words = CountVectorizer(token_pattern=r"\S+").fit_transform(prompts).toarray().astype(np.float64)
    lengths = np.array([[len(prompt), len(prompt.split())] for prompt in prompts], dtype=np.float64)
    return {"length": probe_auroc(lengths, truth, groups), "bag of words": probe_auroc(words, truth, groups)}


def shuffled_within_groups(truth: Bool[np.ndarray, "questions"], groups: Sequence[str], seed: int) -> np.ndarray:
    """Labels that keep each group's balance and nothing else: the null of every probe."""
    rng = np.random.default_rng(seed)
    shuffled = truth.copy()
    names = np.asarray(groups)
    for group in dict.fromkeys(groups):
        own = np.flatnonzero(names == group)
        shuffled[own] = rng.permutation(truth[own])
    return shuffled
