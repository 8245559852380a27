"""The curve: what made the numbers is found again, and intervals hold it as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from superalign.oversight.success_curve import ELO, Curve, fit, likelier_form
from superalign.tasks.metrics import percentile_interval

GAPS = np.repeat(np.linspace(-500, 500, 9), 2)
MANY = np.full((1, len(GAPS)), 1e6)


def logistic(gap: np.ndarray | float) -> np.ndarray:
    return np.asarray(expit(0.3 - 0.9 * np.asarray(gap) / ELO))


def flat_at_both_ends(gap: np.ndarray | float) -> np.ndarray:
    return np.asarray(expit(np.interp(gap, [-250, 250], [1.5, -0.8])))


def fitted(success: np.ndarray, trials: np.ndarray = MANY) -> Curve:
    form = likelier_form(GAPS[None], success[None] * trials, trials)
    return fit(form, GAPS[None], success[None] * trials, trials)


def test_a_line_is_found_again() -> None:
    found = fitted(logistic(GAPS))
    assert found.form == "logistic" and found.slope[0] == pytest.approx(0.9, abs=1e-3)
    assert found.success(800)[0] == pytest.approx(float(logistic(800)), abs=1e-3)  # it goes on beyond the data


def test_plateaus_are_found_again() -> None:
    found = fitted(flat_at_both_ends(GAPS))
    assert found.form == "double-relu"
    for gap in (-2000, -400, 0, 400, 2000):
        assert found.success(gap)[0] == pytest.approx(float(flat_at_both_ends(gap)), abs=0.02)


def test_a_pairing_that_never_fails_has_finite_odds() -> None:
    found = fitted(np.ones(len(GAPS)), np.full((1, len(GAPS)), 20.0))
    assert 0.9 < found.success(0)[0] < 1 and abs(found.slope[0]) < 0.1


@given(st.floats(-3, 3), st.floats(0.05, 3))
def test_the_fit_is_the_likeliest_line(at_zero: float, slope: float) -> None:
    success = expit(at_zero - slope * GAPS / ELO)
    found = fit("logistic", GAPS[None], success[None] * 1e6, MANY)
    assert found.slope[0] == pytest.approx(slope, rel=0.02, abs=0.02)


def test_many_small_steps_beat_one_where_a_small_gap_is_sure_and_a_large_one_lost() -> None:
    even = np.zeros(1)
    steep = Curve("logistic", even, even + ELO, even + 6, even + 3)  # sure at no gap, three log odds lost by one more
    success = [float(steep.nested(4 * ELO, steps)[0]) for steps in range(1, 8)]
    assert success[0] < 0.01 and int(np.argmax(success)) + 1 == 7
    assert success[3] == pytest.approx(float(expit(3.0)) ** 4)
    flat = Curve("logistic", even, even + ELO, even + 1, even + 0.9)
    assert int(np.argmax([float(flat.nested(4 * ELO, steps)[0]) for steps in range(1, 8)])) + 1 == 1


@pytest.mark.parametrize("truth", (logistic, flat_at_both_ends))
def test_intervals_cover(truth: object) -> None:
    """Binomial noise of 60 runs allows 0.95 to come out as 0.86, and a plateau's form is chosen on the same data."""
    rng, runs, questions = np.random.default_rng(0), 60, 120
    at, covered = (-400.0, 0.0, 400.0), []
    weights = rng.multinomial(questions, np.full(questions, 1 / questions), size=200).astype(float)
    for _ in range(runs):
        success = (rng.random((len(GAPS), questions)) < truth(GAPS)[:, None]).astype(float)  # type: ignore[operator]
        once = np.ones((1, questions))
        gaps, trials = (np.repeat(own[None], len(weights), 0) for own in (GAPS, np.full(len(GAPS), float(questions))))
        form = likelier_form(gaps[:1], once @ success.T, trials[:1])
        found = fit(form, gaps[:1], once @ success.T, trials[:1])
        drawn = fit(form, gaps, weights @ success.T, trials)
        for gap in at:
            interval = percentile_interval(float(found.success(gap)[0]), drawn.success(gap))
            covered.append(interval.low <= float(truth(gap)) <= interval.high)  # type: ignore[operator]
    assert np.mean(covered) > 0.88
