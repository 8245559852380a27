"""Effort until something is found, with searches that gave up."""

import numpy as np
import pytest

from superalign.contracts.errors import InputError
from superalign.robustness.effort import Effort, budgeted, survival
from superalign.runs.cost import count


def effort(passes: int, found: bool = True) -> Effort:
    return Effort(forward_passes=passes, seconds=1.0, found=found)


def test_the_estimate_is_kaplan_and_meiers() -> None:
    """By hand: 5/6 after the first, times 3/5 after two of the five that are left, times 1/2."""
    efforts = [effort(5), effort(7), effort(7), effort(10, False), effort(12), effort(20, False)]
    found = survival(efforts)
    assert found.passes == (5, 7, 12)
    assert found.share == pytest.approx((5 / 6, 1 / 2, 1 / 4))
    assert (found.searches, found.censored, found.median) == (6, 2, 7)


def test_searches_that_found_nothing_are_no_successes() -> None:
    found = survival([effort(5, False), effort(9, False)])
    assert (found.passes, found.censored, found.median) == ((), 2, None)


def test_bounds_hold_the_estimate_and_never_leave_it_without_width_upwards() -> None:
    found = survival([effort(5), effort(9)])
    assert found.share == (0.5, 0)
    assert all(low <= share <= high for low, share, high in zip(found.low, found.share, found.high, strict=True))
    assert found.high[-1] == found.high[0] < 1


def test_the_interval_covers() -> None:
    """Exponential efforts, a third of them cut off: the share left at the median effort is 1/2."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        needed, given_up = rng.exponential(1000, 40), rng.exponential(2000, 40)
        found = survival([effort(round(min(a, b)), bool(a <= b)) for a, b in zip(needed, given_up, strict=True)])
        at = np.searchsorted(found.passes, 1000 * np.log(2), side="right") - 1
        covered.append(found.low[at] <= 0.5 <= found.high[at])
    assert 0.92 <= np.mean(covered) <= 0.98


def test_nothing_to_sum_up() -> None:
    with pytest.raises(InputError, match="Give at least one"):
        survival([])


def test_a_budget_keeps_what_the_first_find_took() -> None:
    with budgeted(10) as budget:
        count(forward_passes=4)
        budget.found()
        count(forward_passes=4)
        budget.found()
        assert not budget.spent
        count(forward_passes=2)
        assert budget.spent
    assert (budget.effort.forward_passes, budget.effort.found) == (4, True)


def test_a_budget_that_found_nothing_tells_all_it_spent() -> None:
    with budgeted(10) as budget:
        count(forward_passes=12)
    assert (budget.effort.forward_passes, budget.effort.found) == (12, False)
    assert budget.effort.details == {"found": 0.0, "passes": 12.0}
