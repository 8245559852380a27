"""Probes as estimators: scikit-learn's contract, and each is what its name says."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from superalign.interpretability.estimators import (
    DiscriminantProbe,
    LinearProbe,
    LogisticProbe,
    MeanDifferenceProbe,
    RidgeProbe,
    penalty,
    ridge_logits,
)

PROBES = (MeanDifferenceProbe(), DiscriminantProbe(), RidgeProbe(), LogisticProbe())
each_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)


def example(seed: int, examples: int = 80, width: int = 12, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features, far from standardized, that tell something of the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random(examples) < 0.4
    truth[:2] = True, False
    latent = rng.standard_normal((examples, width)) + signal * rng.standard_normal(width) * truth[:, None]
    return latent @ rng.standard_normal((width, width)) * np.exp(rng.normal(0, 2, width)) + 5, truth


@each_probe
def test_it_keeps_scikit_learns_contract(probe: LinearProbe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        check_estimator(probe)


@each_probe
def test_weights_are_for_the_features_as_they_are(probe: LinearProbe) -> None:
    features, truth = example(0)
    fitted = probe.fit(features, truth)
    scores = features @ fitted.coef_[0] + fitted.intercept_[0]
    assert fitted.decision_function(features) == pytest.approx(scores)
    assert (fitted.predict(features) == (scores > 0)).all()


@each_probe
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_and_place_of_a_feature_do_not_matter(probe: LinearProbe, scale: float) -> None:
    features, truth = example(1)
    moved = features.copy()
    moved[:, 3] = scale * moved[:, 3] + 7
    first, second = (probe.fit(given, truth).decision_function(given) for given in (features, moved))
    assert second == pytest.approx(first, rel=1e-5, abs=1e-6)


@each_probe
def test_perfect_separation_by_one_number(probe: LinearProbe) -> None:
    features = np.array([[0.0], [0.0], [1.0], [1.0]])
    assert (probe.fit(features, [False, False, True, True]).predict(features) == [False, False, True, True]).all()


@given(st.integers(0, 10**6), st.integers(2, 60))
@settings(max_examples=20, deadline=None)
def test_the_discriminant_is_scikit_learns_with_the_same_shrinkage(seed: int, width: int) -> None:
    """Theirs shrinks each class by itself; given one covariance for both, it is the same probe."""
    features, truth = example(seed, width=width)
    standardized = StandardScaler().fit_transform(features)
    means = standardized[~truth].mean(0), standardized[truth].mean(0)
    centred = standardized - np.where(truth[:, None], means[1], means[0])

    class OfAll:
        def fit(self, _: np.ndarray) -> OfAll:
            from sklearn.covariance import LedoitWolf

            self.covariance_ = LedoitWolf(assume_centered=True).fit(centred).covariance_
            return self

    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=OfAll(), priors=[0.5, 0.5])
    expected = theirs.fit(standardized, truth).decision_function(standardized)
    found = DiscriminantProbe().fit(features, truth).decision_function(features)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3 * np.abs(expected).max())


def test_the_mean_difference_is_halfway_between_the_means_at_0() -> None:
    features, truth = example(2)
    standardized = StandardScaler().fit_transform(features)
    true, false = standardized[truth].mean(0), standardized[~truth].mean(0)
    found = MeanDifferenceProbe().fit(features, truth).decision_function(features)
    assert found == pytest.approx((standardized - (true + false) / 2) @ (true - false))


def test_ridge_and_logistic_are_scikit_learns() -> None:
    features, truth = example(3)
    for strength in (1e-3, 0.1, 1.0):
        for ours, theirs in (
            (RidgeProbe(strength), RidgeClassifier(alpha=1 / (2 * strength))),
            (LogisticProbe(strength), LogisticRegression(C=strength, max_iter=500)),
        ):
            expected = make_pipeline(StandardScaler(), theirs).fit(features, truth).decision_function(features)
            assert ours.fit(features, truth).decision_function(features) == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 100))
@settings(max_examples=20, deadline=None)
def test_one_decomposition_gives_every_ridge_probe(seed: int, width: int) -> None:
    """Of every strength and labelling, with fewer and with more features than examples."""
    features, truth = example(seed, width=width)
    labellings = np.stack([truth, np.random.default_rng(seed).permutation(truth)])
    strengths = (1e-4, 0.01, 1.0)
    found = ridge_logits(features[:60], labellings[:, :60], features[60:], strengths)
    assert found.shape == (3, 2, 20)
    for place, strength in enumerate(strengths):
        for labels, scores in zip(labellings, found[place], strict=True):
            expected = RidgeProbe(strength).fit(features[:60], labels[:60]).decision_function(features[60:])
            assert scores == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_discriminant_and_ridge_find_one_direction() -> None:
    """Within one training set, with as much pull towards the identity: they differ in length and bias alone."""
    features, truth = example(4, examples=200)
    standardized = StandardScaler().fit_transform(features)
    means = standardized[~truth].mean(0), standardized[truth].mean(0)
    centred = standardized - np.where(truth[:, None], means[1], means[0])
    from sklearn.covariance import ledoit_wolf_shrinkage

    shrunk = ledoit_wolf_shrinkage(centred, assume_centered=True)
    pull = len(truth) * shrunk / (1 - shrunk) * np.square(centred).mean()
    strength = 1 / (2 * pull)
    assert penalty(strength) == pytest.approx(pull)
    ridge = RidgeProbe(strength).fit(standardized, truth).coef_[0]
    discriminant = DiscriminantProbe().fit(standardized, truth).coef_[0]
    cosine = ridge @ discriminant / np.linalg.norm(ridge) / np.linalg.norm(discriminant)
    assert cosine == pytest.approx(1, abs=1e-5)


@each_probe
def test_other_than_two_classes_are_refused(probe: LinearProbe) -> None:
    features, _ = example(5)
    with pytest.raises(ValueError, match="one class"):
        probe.fit(features, np.ones(len(features)))
    with pytest.raises(ValueError, match="Only binary"):
        probe.fit(features, np.arange(len(features)) % 3)
