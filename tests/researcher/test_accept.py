"""The decision errs no more often than it may, and credits a proposer only for what random search did not find."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.records import Unscored
from superalign.researcher.accept import ALPHA, Gain, decide, gain, level_of


def test_all_openings_together_may_err_as_often_as_one_test() -> None:
    assert sum(level_of(k) for k in range(1, 10_000)) == pytest.approx(ALPHA, rel=1e-3)
    assert level_of(1) > level_of(2) > level_of(3)


@pytest.mark.parametrize("samples", [4, 8, 16])
def test_a_solution_that_is_no_better_is_rarely_called_better(samples: int) -> None:
    rng, level = np.random.default_rng(samples), 0.05
    called = 0
    for _ in range(2_000):
        ours, theirs = rng.normal(0.7, 0.1, (2, samples))
        found = gain(ours.tolist(), theirs.tolist(), level, larger_is_better=True)
        assert isinstance(found, Gain)
        called += found.low > 0
    assert 0.03 < called / 2_000 < 0.07


def test_smaller_can_be_better() -> None:
    found = gain([1.0, 1.1, 0.9], [2.0, 2.1, 1.9], 0.05, larger_is_better=False)
    assert isinstance(found, Gain) and found.mean == pytest.approx(1.0)


def test_what_was_not_scored_is_no_gain() -> None:
    failed = Unscored(reason="it ran out of memory")
    found = gain([0.9, failed, 0.9], [0.5, 0.5, 0.5], 0.05, larger_is_better=True)
    assert isinstance(found, Unscored) and "memory" in found.reason
    assert isinstance(gain([0.9, 0.9], [0.5, 0.5], 0.05, larger_is_better=True), Unscored)


def decided(over_baseline: Gain | Unscored, over_control: Gain | Unscored, *, above_chance: bool = True):
    return decide(over_baseline, over_control, level=0.03, smallest_gain=0.02, above_chance=above_chance)


REAL, NONE = Gain(mean=0.1, low=0.05, samples=(0.1,)), Gain(mean=0.0, low=-0.05, samples=(0.0,))
TINY = Gain(mean=0.01, low=0.005, samples=(0.01,))


def test_a_real_gain_is_accepted_and_credited_apart() -> None:
    assert decided(REAL, REAL).accepted and decided(REAL, REAL).credited
    assert decided(REAL, NONE).accepted and not decided(REAL, NONE).credited
    assert not decided(NONE, REAL).accepted and not decided(NONE, REAL).credited


def test_a_gain_too_small_to_matter_is_rejected() -> None:
    assert not decided(TINY, REAL).accepted
    assert "would matter" in decided(TINY, REAL).reasons[0]


def test_what_scores_as_well_on_shuffled_truth_is_rejected() -> None:
    assert not decided(REAL, REAL, above_chance=False).accepted


def test_a_gain_that_was_not_measured_is_none() -> None:
    assert not decided(Unscored(reason="it crashed"), REAL).accepted
