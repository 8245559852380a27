"""Coverage of the intervals, by simulation and exactly, with episodes that could not be scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from superalign.capability.intervals import difference, longest, rate_interval
from superalign.contracts.records import Interval, Unscored


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.data())
def test_value_and_interval_agree_whatever_is_missing(episodes: int, data: st.DataObject) -> None:
    missing = data.draw(st.integers(0, episodes))
    reached = data.draw(st.integers(0, episodes - missing))
    found = rate_interval(reached, missing, episodes)
    if missing == episodes:
        assert isinstance(found, Unscored)
        return
    assert isinstance(found, Interval) and 0 <= found.low <= found.value <= found.high <= 1
    whole = rate_interval(reached + missing, 0, episodes)
    assert isinstance(whole, Interval) and found.high == whole.high


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("episodes", [6, 20])
def test_rates_are_covered_exactly(rate: float, episodes: int) -> None:
    """Summed over every outcome: no simulation error. Those unscored may be just those that would have been reached."""
    for hidden in (0, 2):
        covered = 0.0
        for reached in range(episodes + 1):
            found = rate_interval(max(0, reached - hidden), min(reached, hidden), episodes)
            covers = isinstance(found, Unscored) or found.low <= rate <= found.high
            covered += covers * binom.pmf(reached, episodes, rate)
        assert covered >= 0.95


def test_no_zero_of_few_episodes_is_a_zero() -> None:
    found = rate_interval(0, 0, 20)
    assert isinstance(found, Interval) and found.value == 0 and found.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_differences_of_dependent_arms_are_covered() -> None:
    numbers, covered, times = np.random.default_rng(0), 0, 400
    for _ in range(times):
        luck = numbers.random(12)  # the same in both arms
        one, other = int((luck < 0.6).sum()), int((luck < 0.2).sum())
        found = difference((one, 0, 12), (other, 0, 12))
        assert isinstance(found, Interval)
        covered += found.low <= 0.4 <= found.high
    assert covered >= 0.95 * times


@pytest.mark.parametrize("rates", [(0.9, 0.7, 0.55, 0.4, 0.1), (0.49, 0.49, 0.49, 0.49, 0.49), (1, 1, 1, 0.5, 0.5)])
def test_the_longest_task_is_covered_without_a_correction_for_levels(rates: tuple[float, ...]) -> None:
    levels = (1.0, 2.0, 4.0, 8.0, 16.0)
    truth = max((level for level, rate in zip(levels, rates, strict=True) if rate >= 0.5), default=0.0)
    numbers, covered, times = np.random.default_rng(1), 0, 600
    for _ in range(times):
        found = longest(levels, [rate_interval(int(done), 0, 8) for done in numbers.binomial(8, rates)])
        assert isinstance(found, Interval) and found.low <= found.value <= found.high
        covered += found.low <= truth <= found.high
    assert covered >= 0.94 * times  # 95 % less what 600 simulations may be off by


def test_levels_that_were_not_scored_are_not_ruled_out() -> None:
    done, failed, missing = rate_interval(6, 0, 6), rate_interval(0, 0, 6), rate_interval(0, 6, 6)
    assert longest((1, 2, 4), [done, failed, failed]) == Interval(value=1, low=1, high=1)
    assert longest((1, 2, 4), [done, failed, missing]) == Interval(value=1, low=1, high=4)
    assert isinstance(longest((1, 2), [missing, missing]), Unscored)
