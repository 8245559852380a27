"""Calibration error: what it is where that is known, and no more than chance where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.records import Interval
from superalign.tasks.calibration import root, squared_calibration_error


def measured(probability: np.ndarray, truth: np.ndarray, groups: list[str]) -> float:
    metric = squared_calibration_error(groups)
    return float(metric(probability, truth, np.ones((1, len(truth))))[0])


@pytest.mark.parametrize("excess", [0.0, 0.1, 0.3])
def test_it_finds_how_much_too_sure_a_judge_is_without_bias(excess: float) -> None:
    rng, found, few = np.random.default_rng(0), [], 30  # so few that chance would look like an error of 0.15
    for _ in range(400):
        truth = rng.random(few) < 0.65 - excess
        found.append(measured(np.full(few, 0.65), truth, [str(place) for place in range(few)]))
    assert abs(np.mean(found) - excess**2) < 0.004


def test_questions_of_one_group_are_no_evidence_of_each_other() -> None:
    """Answers of a group stand or fall together: taken one by one they would look miscalibrated."""
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        truth = np.repeat(rng.random(10) < 0.5, 4)
        found.append(measured(np.full(40, 0.55), truth, [str(place // 4) for place in range(40)]))
    assert abs(np.mean(found) - 0.05**2) < 0.006


def test_a_weight_counts_as_so_many_draws_of_a_group() -> None:
    groups, probability = ["a", "b", "c"], np.array([0.9, 0.9, 0.9])
    truth, metric = np.array([True, False, False]), squared_calibration_error(["a", "b", "c"])
    without = metric(probability, truth, np.array([[1.0, 1.0, 0.0]]))
    assert without[0] == pytest.approx(measured(probability[:2], truth[:2], groups[:2])) == pytest.approx(0.1 * -0.9)
    assert np.isnan(metric(probability, truth, np.array([[2.0, 0.0, 0.0]]))[0]), "one group tells nothing"


def test_probabilities_of_0_and_1_have_their_bins() -> None:
    sure = np.array([0.0, 0.0, 1.0, 1.0])
    assert measured(sure, sure > 0.5, list("abcd")) == 0
    assert measured(1 - sure, sure > 0.5, list("abcd")) == 1


def test_the_root_of_what_is_below_0_is_0() -> None:
    found = root(Interval(value=0.04, low=-0.01, high=0.09))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0, 0.3))
