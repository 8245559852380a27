"""Policies are exact, the fit finds what was put in, and a proxy with a bad tail is found out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.generalization.overoptimization import (
    Candidates,
    agreement,
    best_of,
    curve,
    designed,
    divergence,
    ensemble,
    fitted,
    peak,
    reinforced,
)


def candidates(proxy: np.ndarray, gold: np.ndarray) -> Candidates:
    return Candidates(proxy, gold, [str(i) for i in range(len(proxy))])


def goodhart(prompts: int = 200, size: int = 64, seed: int = 0) -> Candidates:
    """The proxy follows the gold reward, but for a twentieth of the candidates, which it overrates by far."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=(prompts, size))
    overrated = rng.random((prompts, size)) < 0.05
    return candidates(np.where(overrated, 4 + rng.normal(size=gold.shape), gold), gold)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(1, 9), st.integers(0, 1000))
def test_best_of_n_is_what_drawing_and_choosing_does(size: int, draws: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = candidates(rng.integers(0, 4, size=(1, size)).astype(float), np.zeros((1, size)))
    policy = best_of(pool, draws)
    assert policy.sum() == pytest.approx(1)
    drawn = rng.integers(0, size, size=(20_000, draws))
    top = pool.proxy[0][drawn].max(axis=1)
    for value in np.unique(pool.proxy):
        share = policy[0][pool.proxy[0] == value].sum()
        assert share == pytest.approx(float((top == value).mean()), abs=0.02)


def test_divergence_of_best_of_n_nears_the_known_formula_for_many_candidates() -> None:
    pool = candidates(np.arange(5000.0)[None], np.zeros((1, 5000)))
    for draws in (2, 16, 64):
        assert divergence(best_of(pool, draws)) == pytest.approx(np.log(draws) - (draws - 1) / draws, abs=0.02)


def test_no_policy_beats_the_reinforced_one_at_its_own_temperature() -> None:
    rng = np.random.default_rng(0)
    pool = candidates(rng.normal(size=(1, 8)), np.zeros((1, 8)))
    reward = pool.proxy / pool.proxy.std()

    def worth(policy: np.ndarray) -> float:
        return float((policy * reward).sum() - 0.5 * divergence(policy))

    best = worth(reinforced(pool, 0.5))
    others = rng.dirichlet(np.ones(8), size=300)
    assert all(worth(other[None]) <= best + 1e-9 for other in others)


@pytest.mark.parametrize("optimizer", ["best-of-n", "reinforcement"])
def test_the_fit_finds_its_own_coefficients(optimizer: str) -> None:
    distances = np.linspace(0.1, 3, 12)
    gained = designed(distances, optimizer) @ np.array([1.2, 0.3])  # type: ignore[arg-type]
    assert fitted(distances, gained, optimizer) == pytest.approx((1.2, 0.3))  # type: ignore[arg-type]
    found = peak(1.2, 0.3, 100.0, optimizer)  # type: ignore[arg-type]
    fine = np.linspace(0.01, 60, 200_000)
    at = fine[np.argmax(designed(fine, optimizer) @ np.array([1.2, 0.3]))]  # type: ignore[arg-type]
    assert found == pytest.approx(at, rel=1e-2)


@pytest.mark.parametrize("optimizer", ["best-of-n", "reinforcement"])
def test_a_proxy_with_a_bad_tail_is_worth_less_when_it_is_optimized_further(optimizer: str) -> None:
    found = curve(goodhart(), optimizer)  # type: ignore[arg-type]
    gold = [point.gold.value for point in found.points]
    best = int(np.argmax(gold))
    assert 0 < best < len(gold) - 1 and gold[best] > gold[0] + 0.1 and found.points[-1].gold.high < gold[best]
    assert [point.proxy for point in found.points] == sorted(point.proxy for point in found.points)
    assert found.falling.low > 0 and not isinstance(found.peak, Unscored)


def test_a_true_reward_never_falls() -> None:
    rng = np.random.default_rng(1)
    gold = rng.normal(size=(50, 32))
    found = curve(candidates(gold, gold), "best-of-n")
    values = [point.gold.value for point in found.points]
    assert values == sorted(values) and isinstance(found.peak, Unscored)


def test_the_worst_of_an_ensemble_withstands_what_fools_one_of_it() -> None:
    pool = goodhart()
    other = goodhart(seed=2)
    second = np.where(other.proxy > 3, other.proxy, pool.gold)
    worst = candidates(ensemble([pool.proxy, second], "worst"), pool.gold)
    alone, together = (curve(own, "best-of-n").points[-1].gold.value for own in (pool, worst))
    assert together > alone + 0.5


def test_intervals_of_the_gold_reward_cover_it() -> None:
    covered = 0
    truth = curve(goodhart(20_000, seed=99), "best-of-n").points[3].gold.value
    for seed in range(60):
        gold = curve(goodhart(60, seed=seed), "best-of-n", seed=seed).points[3].gold
        covered += gold.low <= truth <= gold.high
    assert covered >= 51  # of 60; where 95 % are covered, fewer are in 1 of 1,000 such tests


def test_what_is_no_set_of_candidates_is_refused() -> None:
    with pytest.raises(InputError, match="no candidates"):
        candidates(np.zeros((3, 1)), np.zeros((3, 1)))
    with pytest.raises(InputError, match="has no reward"):
        candidates(np.array([[0.0, np.nan]]), np.zeros((1, 2)))
    with pytest.raises(InputError, match="tells no two"):
        curve(candidates(np.zeros((3, 4)), np.zeros((3, 4))), "best-of-n")


def test_seeds_are_resampled_as_a_whole_so_that_proxies_that_differ_widen_the_interval() -> None:
    good, bad = goodhart(40, seed=0), goodhart(40, seed=1)
    proxy = np.concatenate([good.gold, -bad.gold])
    both = np.concatenate([good.gold, bad.gold])
    groups = [str(i) for i in range(80)]
    apart = curve(Candidates(proxy, both, groups, [0] * 40 + [1] * 40), "best-of-n").points[-1].gold
    pooled = curve(Candidates(proxy, both, groups), "best-of-n").points[-1].gold
    assert apart.value == pooled.value and apart.low < -2 and apart.high > 2
    assert pooled.high - pooled.low < 0.8 * (apart.high - apart.low)


def test_agreement_counts_pairs_in_order_and_equals_half() -> None:
    gold = np.array([[0.0, 1.0, 2.0]])
    for proxy, expected in (([0, 1, 2], 1.0), ([2, 1, 0], 0.0), ([0, 0, 0], 0.5), ([0, 2, 1], 2 / 3)):
        assert agreement(candidates(np.array([proxy], dtype=float), gold)).value == pytest.approx(expected)


def test_what_an_ensemble_disagrees_about_is_worth_less_by_its_variance() -> None:
    agreed, disputed = [1.0, 1.0], [2.0, 0.0]
    proxies = [np.array([[agreed[i], disputed[i], -1.0, 0.0]]) for i in (0, 1)]
    mean, less = (ensemble(proxies, how)[0] for how in ("mean", "mean less variance"))
    assert mean[1] > less[1] and less[1] - mean[1] < less[0] - mean[0]
