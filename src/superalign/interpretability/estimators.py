"""Linear probes of two classes, as scikit-learn's estimators: `coef_` is for the features as they are given.

All standardize the features on what they are fitted on, so that no feature counts for its scale. They differ in what
they make of correlations between features: the mean difference ignores them, the discriminant divides them out, ridge
and logistic go from the one to the other as `strength` grows. With the same pull towards the identity, discriminant and
ridge find one direction, and differ in length and bias alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

REGULARIZATION = 1e-3  # strong: a few hundred examples in some hundred dimensions; fixed, never tuned
FLOOR = 1e-6  # of a feature's variance within classes: where classes are points, there is none
PRECISIONS = (np.float64, np.float32)  # computed in what is given

Found = tuple[Float[np.ndarray, "features"], float]
Turn = Callable[[Float[np.ndarray, "features"]], Float[np.ndarray, "features"]]


class LinearProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What all share. After `fit`: `classes_`, `coef_` and `intercept_` as scikit-learn's linear models have them."""

    def fit(self, X: Any, y: Any) -> Self:
        """Learn to tell the second of two classes (in their order) from the first. ValueError for any other number."""
        X, y = validate_data(self, X, y, dtype=PRECISIONS, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) > 2:
            raise ValueError(f"Only binary classification is supported. The type of the target is {type_of_target(y)}.")
        if len(self.classes_) < 2:
            raise ValueError("A probe needs examples of two classes; all given are of one class.")
        scaler = StandardScaler().fit(X)
        weights, bias = self._found(scaler.transform(X), y == self.classes_[1])
        direction = weights / scaler.scale_
        self.coef_ = direction[None]
        self.intercept_ = np.array([bias - direction @ scaler.mean_])
        return self

    def decision_function(self, X: Any) -> Float[np.ndarray, "examples"]:
        """Above 0 means the second class."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=PRECISIONS, reset=False)
        return np.asarray(X @ self.coef_[0] + self.intercept_[0])

    def predict(self, X: Any) -> np.ndarray:
        above = self.decision_function(X) > 0
        return np.asarray(self.classes_[above.astype(int)])

    @abstractmethod
    def _found(
        self, standardized: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"]
    ) -> Found:
        """Weights and bias for standardized features."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class MeanDifferenceProbe(LinearProbe):
    """From the mean of one class to that of the other; halfway scores 0."""

    def _found(
        self, standardized: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"]
    ) -> Found:
        return _between_means(standardized, truth, lambda difference: difference)


class DiscriminantProbe(LinearProbe):
    """Fisher's linear discriminant: the mean difference, multiplied by the inverse covariance within classes.

    The covariance is shrunk towards a multiple of the identity by as much as Ledoit and Wolf 2004 (*Journal of
    Multivariate Analysis* 88) say, so that it has an inverse however few the examples are.
    """

    def _found(
        self, standardized: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"]
    ) -> Found:
        within = standardized - np.where(truth[:, None], standardized[truth].mean(0), standardized[~truth].mean(0))
        covariance, _ = ledoit_wolf(within, assume_centered=True)
        covariance[np.diag_indices_from(covariance)] += FLOOR
        return _between_means(standardized, truth, lambda difference: np.linalg.solve(covariance, difference))


class RidgeProbe(LinearProbe):
    """Least squares on -1 and +1 with a penalty on the squared weights: scikit-learn's RidgeClassifier with
    alpha = 1 / (2 strength).
    """

    def __init__(self, strength: float = REGULARIZATION) -> None:
        self.strength = strength

    def _found(
        self, standardized: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"]
    ) -> Found:
        fitted = RidgeClassifier(alpha=penalty(self.strength)).fit(standardized, truth)
        return np.ravel(fitted.coef_), float(fitted.intercept_[0])


class LogisticProbe(LinearProbe):
    """Logistic regression; `strength` is scikit-learn's C."""

    def __init__(self, strength: float = REGULARIZATION) -> None:
        self.strength = strength

    def _found(
        self, standardized: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"]
    ) -> Found:
        fitted = LogisticRegression(C=self.strength, max_iter=500).fit(standardized, truth)
        return fitted.coef_[0], float(fitted.intercept_[0])


def ridge_logits(
    train: Float[np.ndarray, "train features"],
    labellings: Bool[np.ndarray, "labellings train"],
    test: Float[np.ndarray, "test features"],
    strengths: Sequence[float],
) -> Float[np.ndarray, "strengths labellings test"]:
    """What a RidgeProbe of each strength, fitted to each of several labellings, says of the test examples.

    One singular value decomposition serves all: the penalty changes a factor per singular vector, and scores are linear
    in the labels (Hastie, Tibshirani and Friedman 2009, *The Elements of Statistical Learning*, equation 3.47).
    """
    mean, spread = train.mean(0), train.std(0)
    scale = np.where(spread > np.finfo(train.dtype).eps * np.abs(mean), spread, 1)
    left, values, right = np.linalg.svd((train - mean) / scale, full_matrices=False)
    signs = np.where(labellings, 1, -1).astype(train.dtype)
    balance = signs.mean(1, keepdims=True)
    gains = values / (values**2 + np.array([[penalty(strength)] for strength in strengths], train.dtype))
    along = gains[:, None] * ((signs - balance) @ left)
    return np.asarray(along @ (((test - mean) / scale) @ right.T).T + balance)


def penalty(strength: float) -> float:
    """Ridge's alpha where the logistic probe has C = `strength`: scikit-learn's own translation."""
    return 1 / (2 * strength)


def _between_means(
    standardized: Float[np.ndarray, "examples features"], truth: Bool[np.ndarray, "examples"], turned: Turn
) -> Found:
    """The mean difference, `turned`; halfway between the means scores 0."""
    true, false = standardized[truth].mean(0), standardized[~truth].mean(0)
    weights = turned(true - false)
    return weights, float(-weights @ (true + false) / 2)
