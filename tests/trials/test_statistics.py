"""Exact bounds against published values, their coverage, and what a number of trials supports."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.metrics import roc_auc_score

from superalign.trials.statistics import (
    auroc_of_scores,
    benign_threshold,
    clopper_pearson,
    lower_bound,
    trials_for_lower_bound,
    trials_for_upper_bound,
    upper_bound,
)

counts = st.integers(1, 60).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@pytest.mark.parametrize(("trials", "published"), [(2, 0.22), (8, 0.69), (12, 0.78), (29, 0.90), (59, 0.95)])
def test_all_of_n_supports_no_more_than_published(trials: int, published: float) -> None:
    assert lower_bound(trials, trials) == pytest.approx(published, abs=0.005)
    assert lower_bound(trials, trials) == pytest.approx(0.05 ** (1 / trials))
    assert upper_bound(0, trials) == pytest.approx(1 - 0.05 ** (1 / trials))  # near 3 / n, the rule of three


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (4, 20, 0.0573, 0.4366),
        (7, 50, 0.0582, 0.2674),
    ],
)
def test_two_sided_interval_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    found = clopper_pearson(successes, trials)
    assert found is not None
    assert (found.value, found.level) == (successes / trials, 0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(count=counts, level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_agrees_with_scipys_binomial_test(count: tuple[int, int], level: float) -> None:
    found, expected = clopper_pearson(*count, level), binomtest(*count).proportion_ci(level, "exact")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    one_sided = {
        side: binomtest(*count, alternative=side).proportion_ci(level, "exact") for side in ("greater", "less")
    }
    assert lower_bound(*count, level) == pytest.approx(one_sided["greater"].low)
    assert upper_bound(*count, level) == pytest.approx(one_sided["less"].high)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.33, 0.5, 0.81, 0.97])
@pytest.mark.parametrize("trials", [3, 12, 40])
def test_bounds_cover_at_least_as_often_as_they_say(rate: float, trials: int) -> None:
    """Exactly, by adding up the probabilities of all outcomes."""
    chance = binom.pmf(np.arange(trials + 1), trials, rate)
    intervals = [clopper_pearson(successes, trials) for successes in range(trials + 1)]
    inside = [found is not None and found.low <= rate <= found.high for found in intervals]
    below = [lower_bound(successes, trials) <= rate for successes in range(trials + 1)]
    above = [upper_bound(successes, trials) >= rate for successes in range(trials + 1)]
    for covered in (inside, below, above):
        assert chance @ np.array(covered) >= 0.95 - 1e-9


def test_without_trials_nothing_is_claimed() -> None:
    assert clopper_pearson(0, 0) is None
    assert lower_bound(0, 0) == 0
    assert upper_bound(0, 0) == 1


@given(bound=st.floats(0.01, 0.97))
def test_number_of_trials_is_the_smallest_that_does(bound: float) -> None:
    needed = trials_for_lower_bound(bound)
    assert needed is not None
    assert lower_bound(needed, needed) >= bound
    assert needed == 1 or lower_bound(needed - 1, needed - 1) < bound
    enough = trials_for_upper_bound(1 - bound)
    assert enough is not None
    high = [found.high for n in (enough, enough - 1) if (found := clopper_pearson(0, n))]
    assert high[0] <= 1 - bound
    assert enough == 1 or high[1] > 1 - bound


def test_some_claims_no_number_of_trials_supports() -> None:
    assert trials_for_lower_bound(1.0) is None
    assert trials_for_upper_bound(0.0) is None
    assert [trials_for_lower_bound(bound) for bound in (0.7, 0.9, 0.95)] == [9, 29, 59]
    assert trials_for_upper_bound(0.2) == 17


@given(scores=st.lists(st.floats(-5, 5), min_size=1, max_size=30), unscored=st.integers(0, 5))
def test_threshold_is_the_largest_benign_score_and_claims_no_more_than_its_number_supports(
    scores: list[float], unscored: int
) -> None:
    found = benign_threshold("detector", scores, unscored)
    assert found.threshold == max(scores)
    assert found.benign_scores == tuple(scores)
    assert found.unscored == unscored
    assert found.fpr_bound == pytest.approx(1 - 0.05 ** (1 / len(scores)))


def test_no_benign_score_no_threshold() -> None:
    found = benign_threshold("detector", [], 9)
    assert (found.threshold, found.fpr_bound, found.unscored) == (None, 1.0, 9)


def test_a_benign_model_exceeds_the_threshold_as_rarely_as_order_statistics_say() -> None:
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((4000, 10))
    exceeded = [benign_threshold("d", list(row[:9]), 0).threshold < row[9] for row in draws]  # type: ignore[operator]
    assert np.mean(exceeded) == pytest.approx(1 / 10, abs=3 * np.sqrt(0.09 / 4000))


@given(
    positives=st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    negatives=st.lists(st.integers(-3, 3), min_size=1, max_size=12),
)
def test_auroc_of_scores_agrees_with_scikit_learn(positives: list[int], negatives: list[int]) -> None:
    truth = [1] * len(positives) + [0] * len(negatives)
    assert auroc_of_scores(positives, negatives) == pytest.approx(roc_auc_score(truth, positives + negatives))


def test_auroc_without_one_side_is_none() -> None:
    assert auroc_of_scores([], [1.0]) is None
    assert auroc_of_scores([1.0], []) is None
