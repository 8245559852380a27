"""Proposers are compared over seeds, and a seed that came to nothing is not left out."""

from __future__ import annotations

import numpy as np

from superalign.contracts.records import Interval, Unscored
from superalign.researcher.accept import Decision, Gain
from superalign.researcher.compare import interval, summed_up


def gained(mean: float) -> Gain:
    return Gain(mean=mean, low=mean - 0.1, samples=(mean,))


def decision(mean: float) -> Decision:
    return Decision(
        accepted=mean > 0.2,
        credited=False,
        over_baseline=gained(mean),
        over_control=gained(mean / 2),
        level=0.03,
        reasons=(),
    )


def test_the_interval_covers_at_its_nominal_rate() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        found = interval([gained(value) for value in rng.normal(0.3, 0.2, 5)])
        assert isinstance(found, Interval)
        covered += found.low <= 0.3 <= found.high
    assert 0.93 <= covered / 1_000 <= 0.97


def test_accepted_seeds_are_counted_and_lifts_averaged() -> None:
    found = summed_up("evolution", [decision(0.1), decision(0.3), decision(0.5)])
    assert (found.seeds, found.accepted) == (3, 2)
    assert isinstance(found.over_random, Interval) and abs(found.over_random.value - 0.15) < 1e-9


def test_a_seed_without_a_decision_leaves_no_interval() -> None:
    found = summed_up("evolution", [decision(0.1), Unscored(reason="it crashed"), decision(0.5)])
    assert isinstance(found.over_baseline, Unscored) and "1 of 3" in found.over_baseline.reason
    assert isinstance(interval([gained(0.1), gained(0.2)]), Unscored)
