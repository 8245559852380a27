"""Metrics equal scikit-learn's, with ties and weights; intervals cover what they claim, and only by group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from superalign.tasks.metrics import (
    accuracy,
    auroc,
    group_weights,
    percentile_interval,
    point,
    seed_weights,
)

# Few different margins, so that ties are the rule.
rows = st.lists(
    st.tuples(st.sampled_from([-2.0, -0.5, 0.25, 0.5, 3.0]), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(rows=rows)
def test_both_equal_those_of_scikit_learn(rows: list[tuple[float, bool, int]]) -> None:
    margin, truth, weight = (np.array(column) for column in zip(*rows, strict=True))
    if weight.sum():
        found = accuracy(margin, truth, weight[None].astype(float))[0]
        assert found == pytest.approx(accuracy_score(truth, margin > 0, sample_weight=weight))
    if weight[truth].sum() and weight[~truth].sum():
        found = auroc(margin, truth, weight[None].astype(float))[0]
        assert found == pytest.approx(roc_auc_score(truth, margin, sample_weight=weight))
    else:
        assert np.isnan(auroc(margin, truth, weight[None].astype(float))[0])


def test_many_weightings_at_once() -> None:
    rng = np.random.default_rng(0)
    margin, truth, weights = rng.normal(size=30), rng.random(30) < 0.5, rng.integers(1, 4, (7, 30)).astype(float)
    for metric in (accuracy, auroc):
        together = metric(margin, truth, weights)
        assert together == pytest.approx([metric(margin, truth, row[None])[0] for row in weights])


def test_a_margin_of_nothing_is_half_right() -> None:
    assert point(accuracy, np.zeros(4), np.array([True, False, True, True])) == 0.5
    assert point(auroc, np.zeros(4), np.array([True, False, True, True])) == 0.5


def test_groups_are_drawn_whole() -> None:
    groups = ["a", "b", "a", "c", "c", "c"]
    weights = group_weights(groups, 500, np.random.default_rng(0))
    assert np.array_equal(weights[:, 0], weights[:, 2]) and np.array_equal(weights[:, 3], weights[:, 5])
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    assert weights.mean() == pytest.approx(1, abs=0.1)


def test_shares_of_seeds_sum_to_one() -> None:
    weights = seed_weights(5, 300, np.random.default_rng(0))
    assert weights.sum(axis=1) == pytest.approx(np.ones(300))
    assert len(np.unique(weights, axis=0)) > 50


def coverage(simulations: int = 400, groups: int = 80, *, clustered: bool) -> float:
    """How often the 95 % interval holds the true accuracy of 0.7, when a group's two answers are right together."""
    rng = np.random.default_rng(0)
    names = [str(i if clustered else 2 * i + j) for i in range(groups) for j in range(2)]
    held = 0
    for _ in range(simulations):
        right = np.repeat(rng.random(groups) < 0.7, 2)
        margin, truth = np.where(right, 1.0, -1.0), np.ones(2 * groups, dtype=bool)
        resampled = accuracy(margin, truth, group_weights(names, 300, rng))
        interval = percentile_interval(point(accuracy, margin, truth), resampled)
        held += interval.low <= 0.7 <= interval.high
    return held / simulations


def test_intervals_cover_what_they_claim() -> None:
    """Monte Carlo error of a share of 400 is 0.011; drawing rows, as if they were independent, covers far less."""
    assert 0.95 - 0.035 <= coverage(clustered=True) <= 0.95 + 0.035
    assert coverage(clustered=False) < 0.9


def test_resamples_without_a_value_are_left_out() -> None:
    resampled = np.array([np.nan, *np.linspace(0, 1, 101)])
    interval = percentile_interval(0.5, resampled, level=0.9)
    assert (interval.low, interval.high, interval.level) == pytest.approx((0.05, 0.95, 0.9))
