"""The audit of a chain: answers of which the outcome is known, and whether intervals hold what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies.chain import ArmName
from superalign.generalization.chain_audit import (
    Audit,
    planted_left,
    repeated,
    right,
    share,
    stopped_at,
    summarize,
)
from superalign.generalization.pgr import PairedBootstrap
from superalign.runs.studies import ChainPlan
from superalign.tasks.metrics import accuracy, point

GROUPS, SEEDS = 60, 3
TRUTH = np.tile([True, False], GROUPS)
NAMES = [str(i // 2) for i in range(2 * GROUPS)]
OF_KIND = np.arange(2 * GROUPS) % 8 < 4
SIGNS = np.tile(np.where(TRUTH, 1.0, -1.0), (SEEDS, 1))
PLAN = ChainPlan(bootstrap=200, seeds=SEEDS)


def denying(share_: float, seed: int = 0) -> np.ndarray:
    """Right but for so many of the kind's questions, which are denied."""
    drawn = np.random.default_rng(seed).random(SIGNS.shape) < share_
    return np.where(OF_KIND & TRUTH & drawn, -1.0, SIGNS)


def wrong(rate: float, seed: int = 0) -> np.ndarray:
    """Wrong by chance at a rate."""
    return np.where(np.random.default_rng(seed).random(SIGNS.shape) < rate, -SIGNS, SIGNS)


def audit(**changed: Any) -> Audit:
    clean = [SIGNS] * 3
    test: dict[ArmName, Sequence[np.ndarray]] = {
        "chain": clean,
        "direct": clean,
        "weakest": clean,
        "systematic": [denying(1), denying(1), denying(1)],
        "random": [wrong(0.2), SIGNS, SIGNS],
    }
    held_back: dict[ArmName, Sequence[np.ndarray]] = {arm: [SIGNS[:, :20]] * 3 for arm in test}
    test |= changed.pop("test", {})
    held_back |= changed.pop("held_back", {})
    return Audit(TRUTH, NAMES, TRUTH[:20], NAMES[:20], OF_KIND, test, held_back, {"systematic": 0.25, "random": 0.2})


def bootstrap() -> PairedBootstrap:
    return PairedBootstrap(TRUTH, NAMES, resamples=200, seed=0)


def values(found: Any) -> list[float]:
    assert all(isinstance(own, Interval) for own in found), found
    return [own.value for own in found]


def test_a_telephone_passes_on_and_a_learner_of_values_recovers() -> None:
    found = {own.how: own for own in summarize(audit(), PLAN, 0, labelled=20, trained=40).planted}
    assert values(found["systematic"].left) == [1, 1, 1]
    assert values([found["systematic"].change]) == [0]
    assert values(found["random"].left) == [1, 0, 0]
    assert found["systematic"].questions == (OF_KIND & TRUTH).sum()
    assert found["random"].questions == len(TRUTH)


def test_what_is_left_falls_with_what_generations_mend() -> None:
    own = planted_left("systematic", audit(test={"systematic": [denying(1), denying(0.5), SIGNS]}), bootstrap())
    first, half, none = own.left
    assert values([first, none]) == [1, 0]
    assert isinstance(half, Interval) and half.low < 0.5 < half.high
    assert isinstance(own.change, Interval) and own.change.high < 0


def test_nothing_is_left_of_what_was_not_planted() -> None:
    own = planted_left("random", audit(test={"random": [SIGNS] * 3}), bootstrap())
    assert all(isinstance(left, Unscored) and "includes 0" in left.reason for left in own.left)
    assert isinstance(own.change, Unscored)


def test_errors_that_the_clean_chain_makes_as_well_are_not_left_over() -> None:
    """A chain that comes to deny the kind by itself has nothing of the planted error in it."""
    test = {"chain": [SIGNS, denying(1), denying(1)], "systematic": [denying(1)] * 3}
    assert values(planted_left("systematic", audit(test=test), bootstrap()).left) == [1, 0, 0]


def test_the_interval_of_what_is_left_holds_the_truth() -> None:
    """Students of many simulated chains deny 0.4 of what their planted labels deny: 95 % intervals hold 0.4 about so
    often; each chain of a study has its own share, drawn around it.
    """
    rng, held = np.random.default_rng(1), 0
    trials, seeds, groups = 120, 5, 80
    truth, names = np.tile([True, False], groups), [str(i // 2) for i in range(2 * groups)]
    signs = np.tile(np.where(truth, 1.0, -1.0), (seeds, 1))
    for trial in range(trials):
        wrong_as_well = rng.random(signs.shape) < 0.15
        clean = np.where(wrong_as_well, -signs, signs)
        own_share = rng.normal(0.4, 0.05, size=(seeds, 1))
        student = np.where(truth & (rng.random(signs.shape) < own_share), -1.0, clean)
        misled = [np.where(truth, -1.0, clean), student]
        test: dict[ArmName, Sequence[np.ndarray]] = {"chain": [clean, clean], "systematic": misled}
        made = Audit(truth, names, truth, names, np.ones_like(truth), test, {}, {"systematic": 0.5})
        resampled = PairedBootstrap(truth, names, resamples=200, seed=trial)
        left = planted_left("systematic", made, resampled).left[-1]
        assert isinstance(left, Interval)
        held += left.low <= 0.4 <= left.high
    assert 0.85 <= held / trials <= 1.0


def test_the_gate_stops_each_chain_where_it_first_loses_too_much() -> None:
    truth = np.ones(20, dtype=bool)

    def scoring(*right_ones: int) -> np.ndarray:
        return np.array([[1.0] * n + [-1.0] * (20 - n) for n in right_ones])

    held_back = [scoring(18, 18, 18), scoring(17, 16, 20), scoring(14, 20, 20)]
    assert stopped_at(held_back, truth, tolerance=0.05) == [2, 1, 3]
    assert stopped_at(held_back, truth, tolerance=0.5) == [3, 3, 3]


def test_a_stopped_chain_ends_with_the_last_model_that_passed() -> None:
    bad = -SIGNS
    arms = {
        own.arm: own
        for own in summarize(
            audit(
                test={"chain": [SIGNS, SIGNS, bad]},
                held_back={"chain": [SIGNS[:, :20], SIGNS[:, :20], bad[:, :20]]},
            ),
            PLAN,
            0,
            labelled=20,
            trained=40,
        ).arms
    }
    chain = arms["chain"]
    assert [own.stopped for own in chain.generations] == [0, 0, SEEDS]
    assert chain.gated.value == 1 and chain.gate_gain.value == 1
    assert [own.held_back.value for own in chain.generations] == [1, 1, 0]
    assert arms["weakest"].gate_gain.value == 0 and arms["weakest"].generations[-1].stopped == 0


def test_drift_and_repeated_errors_are_of_the_first_overseer_of_the_same_chain() -> None:
    first = SIGNS.copy()
    first[:, :10] *= -1  # ten errors
    own = SIGNS.copy()
    own[:, :4] *= -1  # four of them repeated
    resampled = bootstrap()
    found = repeated(own, first, TRUTH, resampled)
    assert isinstance(found, Interval) and found.value == pytest.approx(0.4)
    assert isinstance(repeated(own, SIGNS, TRUTH, resampled), Unscored)
    [chain] = [
        arm
        for arm in summarize(audit(test={"chain": [first, first, own]}), PLAN, 0, labelled=2, trained=4).arms
        if arm.arm == "chain"
    ]
    assert [own.unlike_first.value for own in chain.generations] == pytest.approx([0, 0, 6 / len(TRUTH)])


def test_right_and_share_agree_with_accuracy() -> None:
    margins = np.random.default_rng(0).normal(size=len(TRUTH))
    margins[:5] = 0
    assert point(share, right(margins, TRUTH), TRUTH) == pytest.approx(point(accuracy, margins, TRUTH))
    assert np.isnan(point(share, np.full(4, np.nan), TRUTH[:4]))
