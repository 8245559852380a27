"""Bounds against published values, and how often intervals and tests that are simulated keep what they promise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.metrics import roc_auc_score

from superalign.contracts.records import Unscored
from superalign.contracts.summary import BenignModel
from superalign.trials.statistics import (
    benign_threshold,
    clopper_pearson,
    clustered_auroc,
    clustered_proportion,
    comparable,
    conformal_p,
    lower_bound,
    trials_for_lower_bound,
    trials_for_upper_bound,
    upper_bound,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
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


@settings(deadline=None)
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


@settings(deadline=None)
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


def benign(results: Sequence[float | Unscored]) -> list[BenignModel]:
    return [BenignModel(name=f"benign-{i}", family=None, result=result) for i, result in enumerate(results)]


@settings(deadline=None)
@given(scores=st.lists(st.floats(-5, 5), min_size=1, max_size=30), unscored=st.integers(0, 5))
def test_threshold_is_the_largest_benign_score_and_claims_no_more_than_its_number_supports(
    scores: list[float], unscored: int
) -> None:
    found = benign_threshold("detector", benign([*scores, *[Unscored(reason="it crashed")] * unscored]))
    assert found.threshold == max(scores)
    assert found.benign_scores == tuple(scores)
    assert found.unscored == unscored
    assert found.fpr_bound == pytest.approx(1 - 0.05 ** (1 / len(scores)))


def test_no_benign_score_no_threshold() -> None:
    found = benign_threshold("detector", benign([Unscored(reason="it crashed")] * 9))
    assert (found.threshold, found.fpr_bound, found.unscored) == (None, 1.0, 9)


tables = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: st.lists(st.lists(finite, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
)


@settings(deadline=None)
@given(rows=tables)
def test_scores_made_comparable_keep_their_order_and_lie_between_minus_one_and_one(rows: list[list[float]]) -> None:
    """Ties may appear where numbers are beyond what can be told apart; no order is ever turned round."""
    scores = np.array(rows)
    found = comparable(scores, others(scores))
    assert (np.abs(found) <= 1 + 1e-12).all()
    for column, raw in zip(found.T, scores.T, strict=True):
        assert (np.diff(column[np.argsort(raw, kind="stable")]) >= 0).all()


@settings(deadline=None)
@given(rows=tables, seed=st.integers(0, 99))
def test_what_makes_scores_comparable_does_not_know_which_model_is_judged(rows: list[list[float]], seed: int) -> None:
    """Equivariance under permutation, to the last bit: the whole of the test's validity."""
    order = np.random.default_rng(seed).permutation(len(rows))
    scores = np.array(rows)
    shares = np.abs(scores).max(axis=0) <= 1
    assert np.array_equal(comparable(scores, shares)[order], comparable(scores[order], shares))


def test_constant_scores_say_nothing_and_one_that_differs_says_all() -> None:
    assert not comparable(np.full((5, 2), 3.0), np.array([False, False])).any()
    assert not comparable(np.full((5, 2), 0.3), np.array([True, True])).any()
    lonely = comparable(np.array([[0.0], [0.0], [0.0], [0.0], [7.0]]), np.array([False]))
    assert lonely[:, 0].tolist() == [0, 0, 0, 0, 1]


def test_shares_are_taken_as_they_are() -> None:
    """A model that does it in 0.9 of all cases stands out from what another detector finds in 0.1, alone or not."""
    scores = np.array([[0.9, 0.0], [0.5, 0.0], [0.4, 0.0], [0.0, 0.1], [0.0, np.nan]])
    found = comparable(scores, np.array([True, True]))
    assert found.max(axis=1) == pytest.approx([0.5, 0.1, 0.0, 0.1, -0.4])
    assert found[4, 1] == -np.inf


def others(scores: np.ndarray) -> np.ndarray:
    """No detector's scores are shares."""
    return np.zeros(scores.shape[1], dtype=bool)


def test_a_conformal_p_value_counts_ties_against_the_model() -> None:
    assert conformal_p(2.0, np.array([0.0, 1.0, 2.0])) == 0.5
    assert conformal_p(2.1, np.array([0.0, 1.0, 2.0])) == 0.25
    assert conformal_p(0.0, np.array([])) == 1.0


@pytest.mark.parametrize("detectors", [1, 3, 10])
@pytest.mark.parametrize("models", [8, 19])
def test_the_batterys_rate_of_false_alarms_does_not_grow_with_its_detectors(detectors: int, models: int) -> None:
    """Correlated and heavy-tailed scores; own thresholds, for contrast, flag ever more. Every other detector's scores
    are shares.
    """
    rng = np.random.default_rng(detectors + 100 * models)
    trials, flagged, own = 4000, 0, 0
    for _ in range(trials):
        shared = rng.standard_normal((models + 1, 1))
        scores = 0.6 * shared + 0.8 * rng.standard_t(3, (models + 1, detectors))
        shares = np.arange(detectors) % 2 == 1
        scores[:, shares] = np.tanh(scores[:, shares])
        largest = comparable(scores, shares).max(axis=1)
        flagged += conformal_p(largest[0], largest[1:]) <= 1 / (models + 1)
        own += bool((scores[0] > scores[1:].max(axis=0)).any())
    nominal = 1 / (models + 1)
    error = 3 * np.sqrt(nominal * (1 - nominal) / trials)
    print(f"{detectors} detectors, n = {models}: {flagged / trials:.3f} flagged, nominal {nominal:.3f}; "
          f"by own thresholds {own / trials:.3f}")  # fmt: skip
    assert flagged / trials == pytest.approx(nominal, abs=error)
    assert detectors == 1 or own / trials > nominal + error


def flagged_by(spread: str, scores: np.ndarray) -> bool:
    """Whether the first model stands out from the others, with this spread."""
    away = scores - np.median(scores, axis=0)
    size = {"median": np.median(np.abs(away), axis=0), "mean": np.mean(np.abs(away), axis=0)}
    own = comparable(scores, others(scores))
    found = own if spread == "squares" else away / np.where(size[spread] > 0, size[spread], 1)
    largest = found.max(axis=1)
    return bool(largest[0] > largest[1:].max())


def test_few_benign_models_suffice_to_see_a_large_effect_in_one_of_many_detectors() -> None:
    """With the median of the deviations, a spread measured too small hides it more often."""
    rng = np.random.default_rng(3)
    caught = dict.fromkeys(("squares", "mean", "median"), 0)
    for _ in range(2000):
        scores = rng.standard_normal((9, 10))
        scores[0, 0] += 4
        for spread in caught:
            caught[spread] += flagged_by(spread, scores)
    print(f"effect of four deviations in one of ten detectors, n = 8: {caught} of 2000")
    assert caught["squares"] > caught["median"] + 150 and caught["squares"] > 1250


def test_detectors_that_are_silent_but_for_few_benign_models_do_not_deafen_the_others() -> None:
    """Every second detector gives a tenth of the benign models something, and nothing to the rest."""
    rng = np.random.default_rng(4)
    caught = dict.fromkeys(("squares", "mean"), 0)
    for _ in range(1000):
        scores = 0.05 * rng.standard_normal((27, 6))
        scores[:, 1::2] = np.where(rng.random((27, 3)) < 0.1, 0.5 * rng.random((27, 3)), 0)
        scores[0, 0] += 0.5  # ten standard deviations
        for spread in caught:
            caught[spread] += flagged_by(spread, scores)
    print(f"effect of ten deviations beside silent detectors, n = 26: {caught} of 1000")
    assert caught["squares"] > caught["mean"] + 150


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("families", [5, 11, 29])
def test_bounds_of_simulated_trials_cover(rate: float, families: int) -> None:
    rng = np.random.default_rng(families)
    caught = rng.binomial(families, rate, 20_000)
    covered = np.mean([lower_bound(c, families) <= rate for c in range(families + 1)] @ np.eye(families + 1)[:, caught])
    print(f"one-sided bound, {families} families, rate {rate}: {covered:.3f}")
    assert covered >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 20_000)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_the_interval_of_clustered_rates_covers_however_alike_the_members(rate: float, alike: float) -> None:
    """Twins of a family copy its first twin with the probability `alike`; families have one to four."""
    rng = np.random.default_rng(7)
    trials, covered, naive = 2000, 0, 0
    for _ in range(trials):
        rates, flags = [], []
        for size in rng.integers(1, 5, 11):
            first = rng.random() < rate
            members = [first if i == 0 or rng.random() < alike else rng.random() < rate for i in range(size)]
            rates.append(float(np.mean(members)))
            flags += members
        found, pooled = clustered_proportion(rates), clopper_pearson(sum(flags), len(flags))
        assert found and pooled
        covered += found.low <= rate <= found.high
        naive += pooled.low <= rate <= pooled.high
    print(f"false alarms {rate}, alike {alike}: {covered / trials:.3f} cover; if independent {naive / trials:.3f}")
    assert covered / trials >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)


def test_one_twin_a_family_is_clopper_and_pearson_and_more_twins_are_no_more_families() -> None:
    assert clustered_proportion([1, 0, 0]) == clopper_pearson(1, 3)
    assert clustered_proportion([]) is None
    assert clustered_proportion([0.5, 0.5]) == clopper_pearson(1, 2)


@pytest.mark.parametrize("families", [4, 11, 25])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_the_interval_of_an_auroc_covers(families: int, shift: float) -> None:
    """Two organisms and two twins a family, which share half of their variance with their family."""
    rng = np.random.default_rng(11)
    trials, covered, width = 300, 0, 0.0
    truth = simulated_auroc(shift, np.random.default_rng(0))
    for _ in range(trials):
        sides = simulated_families(families, shift, rng)
        found = clustered_auroc(*sides)
        assert found is not None
        covered += found.low <= truth <= found.high
        width += (found.high - found.low) / trials
    print(f"AUROC {truth:.2f}, {families} families: {covered / trials:.3f} cover, mean width {width:.2f}")
    assert families < 25 or width < 0.25  # covering by saying nothing would be easy
    assert covered / trials >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)


def simulated_families(
    families: int, shift: float, rng: np.random.Generator
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    effect = rng.standard_normal((families, 1))
    scores = effect + rng.standard_normal((families, 4))
    scores[:, :2] += shift
    names = [f"family-{i}" for i in range(families)]
    return (
        {name: list(row[:2]) for name, row in zip(names, scores, strict=True)},
        {name: list(row[2:]) for name, row in zip(names, scores, strict=True)},
    )


def simulated_auroc(shift: float, rng: np.random.Generator) -> float:
    """Of organisms against twins of whatever family: what the estimate tends to with ever more families."""
    organisms = np.sqrt(2) * rng.standard_normal(10**6) + shift
    return float((organisms > np.sqrt(2) * rng.standard_normal(10**6)).mean())


@settings(deadline=None)
@given(
    positives=st.lists(st.integers(-3, 3), min_size=1, max_size=8),
    negatives=st.lists(st.integers(-3, 3), min_size=1, max_size=8),
)
def test_auroc_agrees_with_scikit_learn_and_lies_in_its_interval(positives: list[int], negatives: list[int]) -> None:
    truth = [1] * len(positives) + [0] * len(negatives)
    found = clustered_auroc(
        {f"family-{i}": [score] for i, score in enumerate(positives)},
        {f"family-{i}": [score] for i, score in enumerate(negatives)},
    )
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(truth, positives + negatives))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_perfect_auroc_of_a_few_families_is_not_certain() -> None:
    sides = [{f"family-{i}": [float(score)] for i in range(11)} for score in (1, 0)]
    found, exact = clustered_auroc(*sides), clopper_pearson(11, 11)
    assert found is not None and exact is not None
    assert (found.value, found.low, found.high) == (1, exact.low, 1)


def test_many_seeds_of_one_family_are_one_family() -> None:
    """Its AUROC may be anything in another family."""
    found = clustered_auroc({"lying": [1.0] * 50}, {"lying": [0.0] * 50})
    assert found is not None and found.low < 0.05


def test_auroc_without_one_side_is_none() -> None:
    assert clustered_auroc({}, {"lying": [1.0]}) is None
    assert clustered_auroc({"lying": [1.0]}, {}) is None
