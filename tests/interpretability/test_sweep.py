"""The sweep is what scikit-learn finds, only sooner; and no fold learns from what it scores."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from superalign.contracts.errors import InputError
from superalign.interpretability import sweep as module
from superalign.interpretability.estimators import DiscriminantProbe, MeanDifferenceProbe, RidgeProbe
from superalign.interpretability.probes import FOLDS, out_of_fold
from superalign.interpretability.sweep import KINDS, sweep
from superalign.tasks.metrics import auroc, point

STRENGTHS = (1e-3, 0.05, 1.0)


def example(
    seed: int, examples: int = 150, layers: int = 2, width: int = 12, signal: float = 0.7
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Correlated features, far from standardized, that tell something of the truth; groups of unequal size."""
    rng = np.random.default_rng(seed)
    truth = rng.random(examples) < 0.4
    latent = rng.standard_normal((examples, layers, width)) + signal * rng.standard_normal(width) * truth[:, None, None]
    mixed = latent @ rng.standard_normal((width, width)) * np.exp(rng.normal(0, 2, width)) + rng.normal(0, 5, width)
    groups = [f"group {member}" for member in rng.integers(0, 30, examples)]
    return mixed.astype(np.float32), truth, groups


def by_scikit_learn(features: np.ndarray, truth: np.ndarray, groups: list[str], strength: float) -> np.ndarray:
    scores = np.zeros(len(truth))
    for train, test in GroupKFold(FOLDS).split(features, truth, groups):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000, tol=1e-7))
        scores[test] = probe.fit(features[train].astype(np.float64), truth[train]).decision_function(features[test])
    return scores


def assert_same_scores(ours: np.ndarray, theirs: np.ndarray, within: float) -> None:
    """Root mean square of the difference, as a share of that of the scores."""
    assert np.sqrt(np.mean((ours - theirs) ** 2)) <= within * np.sqrt(np.mean(theirs**2))


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=15, deadline=None)
def test_every_probe_is_scikit_learns(seed: int, width: int) -> None:
    activations, truth, groups = example(seed, width=width)
    found = sweep(activations, truth, groups, STRENGTHS)
    for layer in range(2):
        for place, strength in enumerate(STRENGTHS):
            theirs = by_scikit_learn(activations[:, layer], truth, groups, strength)
            assert_same_scores(found["logistic"].scores[layer, place], theirs, within=0.05)
            reached = point(auroc, theirs, truth)
            assert found["logistic"].auroc[layer, place] == pytest.approx(reached, abs=0.005)


def test_it_is_the_same_minimum_however_closely_one_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOLERANCE", 1e-4)
    activations, truth, groups = example(7)
    found = sweep(activations, truth, groups, STRENGTHS)
    for place, strength in enumerate(STRENGTHS):
        theirs = by_scikit_learn(activations[:, 1], truth, groups, strength)
        assert_same_scores(found["logistic"].scores[1, place], theirs, within=1e-3)


def test_mean_difference_is_what_its_name_says() -> None:
    activations, truth, groups = example(3, layers=1)
    features, scores = activations[:, 0].astype(np.float64), np.zeros(len(truth))
    for train, test in GroupKFold(FOLDS).split(features, truth, groups):
        scaler = StandardScaler().fit(features[train])
        known = scaler.transform(features[train])
        true, false = known[truth[train]].mean(0), known[~truth[train]].mean(0)
        scores[test] = (scaler.transform(features[test]) - (true + false) / 2) @ (true - false)
    found = sweep(activations, truth, groups, STRENGTHS)
    assert found["mean-difference"].scores[0, 0] == pytest.approx(scores, rel=1e-3, abs=1e-3)
    assert found["mean-difference"].auroc[0, 0] == pytest.approx(point(auroc, scores, truth), abs=1e-3)


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=5, deadline=None)
def test_closed_forms_are_the_estimators(seed: int, width: int) -> None:
    activations, truth, groups = example(seed, width=width)
    found = sweep(activations, truth, groups, STRENGTHS, ("mean-difference", "discriminant", "ridge"))
    for layer in range(2):
        read = activations[:, layer].astype(np.float64)
        for kind, probe in (("mean-difference", MeanDifferenceProbe()), ("discriminant", DiscriminantProbe())):
            expected = out_of_fold(read, truth, groups, probe)
            assert_same_scores(found[kind].scores[layer, 0], expected, within=1e-3)
        for place, strength in enumerate(STRENGTHS):
            expected = out_of_fold(read, truth, groups, RidgeProbe(strength))
            assert_same_scores(found["ridge"].scores[layer, place], expected, within=1e-3)


def test_positions_can_be_folded_into_the_layers() -> None:
    activations, truth, groups = example(6, layers=6)
    read = activations.reshape(len(truth), 2, 3, -1)
    folded = sweep(read.reshape(len(truth), 6, -1), truth, groups, STRENGTHS, ("ridge",))["ridge"].auroc
    alone = sweep(read[:, 1], truth, groups, STRENGTHS, ("ridge",))["ridge"].auroc
    assert folded.reshape(2, 3, -1)[1] == pytest.approx(alone, abs=1e-6)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_a_group_is_scored_as_if_its_answers_were_unknown(seed: int) -> None:
    activations, truth, groups = example(seed)
    own = np.array(groups) == groups[0]
    changed = np.where(own, ~truth, truth)
    before, after = (sweep(activations, labels, groups, STRENGTHS) for labels in (truth, changed))
    for kind in KINDS:
        first, second = before[kind].scores, after[kind].scores
        assert second[..., own] == pytest.approx(first[..., own], rel=1e-4, abs=1e-4)
        assert not np.allclose(second[..., ~own], first[..., ~own], rtol=1e-3, atol=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_order_of_examples_does_not_matter(seed: int) -> None:
    activations, truth, groups = example(seed)
    order = np.random.default_rng(seed).permutation(len(truth))
    found = sweep(activations, truth, groups, STRENGTHS)
    other = sweep(activations[order], truth[order], [groups[place] for place in order], STRENGTHS)
    for kind in KINDS:
        assert_same_scores(other[kind].scores, found[kind].scores[..., order], within=0.01)


def test_layers_and_strengths_do_not_touch_each_other() -> None:
    activations, truth, groups = example(5)
    found = sweep(activations, truth, groups, STRENGTHS)
    alone = sweep(activations[:, 1:], truth, groups, STRENGTHS[1:2])
    for kind in KINDS:
        place = min(1, found[kind].scores.shape[1] - 1)
        assert_same_scores(alone[kind].scores[0, 0], found[kind].scores[1, place], within=1e-3)


def test_separable_truth() -> None:
    activations, truth, groups = example(8, width=20)
    activations[:, :, 0] += 1e4 * truth[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        found = sweep(activations, truth, groups, (1e-3, 1.0, 1e4))
    for kind in KINDS:
        assert (found[kind].auroc > 0.99).all() and np.isfinite(found[kind].scores).all(), kind


def test_features_that_do_not_vary_tell_nothing_and_break_nothing() -> None:
    """One never varies, one only in a single group: constant for four folds of five, and huge where it is not."""
    activations, truth, groups = example(9, layers=1)
    plain = sweep(activations, truth, groups, STRENGTHS)
    constant = np.full((len(truth), 1, 1), 1e5, np.float32)
    rare = np.where(np.array(groups) == groups[0], 1e3, 7).astype(np.float32)[:, None, None]
    padded = sweep(np.concatenate([activations, constant], 2), truth, groups, STRENGTHS)
    for kind in ("logistic", "mean-difference", "ridge"):  # what the discriminant is shrunk to hangs on the width
        assert_same_scores(padded[kind].scores, plain[kind].scores, within=0.01)
    features = np.concatenate([activations, rare], 2)
    found = sweep(features, truth, groups, STRENGTHS)
    theirs = by_scikit_learn(features[:, 0], truth, groups, 0.05)
    elsewhere = np.array(groups) != groups[0]  # there, float32 differs from float64 in what it makes of a constant
    assert_same_scores(found["logistic"].scores[0, 1][elsewhere], theirs[elsewhere], within=0.05)
    assert all(np.isfinite(found[kind].scores).all() for kind in KINDS)


def test_nothing_at_all_varies() -> None:
    _, truth, groups = example(10)
    found = sweep(np.ones((len(truth), 1, 3), np.float32), truth, groups, STRENGTHS)
    assert all(np.isfinite(found[kind].scores).all() for kind in KINDS)


def test_says_when_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITERATIONS", 1)
    activations, truth, groups = example(11)
    with pytest.warns(ConvergenceWarning, match="not converged"):
        found = sweep(activations, truth, groups, STRENGTHS)
    assert found["logistic"].auroc.min() > 0.5  # as far as it came


def test_what_it_is_given_is_left_as_it_was() -> None:
    activations, truth, groups = example(12)
    kept = activations.copy()
    sweep(activations, truth, groups, STRENGTHS)
    assert (activations == kept).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a, t, g: (a[:, 0], t, g, STRENGTHS), "shapes"),
        (lambda a, t, g: (a, t[1:], g, STRENGTHS), "shapes"),
        (lambda a, t, g: (a, t, g, ()), "Strengths"),
        (lambda a, t, g: (a, t, g, (0.1, -1.0)), "Strengths"),
        (lambda a, t, g: (np.where(a == a.max(), np.nan, a), t, g, STRENGTHS), "not finite"),
        (lambda a, t, g: (a, t, ["one"] * len(t), STRENGTHS), "1 groups"),
        (lambda a, t, g: (a, np.ones_like(t), g, STRENGTHS), "one class"),
        (lambda a, t, g: (a, t, g, STRENGTHS, ("rigde",)), "Did you mean 'ridge'"),
    ],
)
def test_bad_input(change, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=says):
        sweep(*change(*example(0)))
