"""Agreement and corrected rates against other implementations, known tables and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inspect_ai.scorer import SampleScore, Score
from inspect_ai.scorer import krippendorff_alpha as peer_alpha
from sklearn.metrics import cohen_kappa_score

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Unscored
from superalign.robustness.agreement import Confusion, agreement, corrected_rate, kappa, krippendorff_alpha

some = settings(deadline=None, max_examples=60)
counts = st.integers(0, 30)


def confusion(true_yes: int, false_no: int, false_yes: int, true_no: int) -> Confusion:
    return Confusion(true_yes=true_yes, false_no=false_no, false_yes=false_yes, true_no=true_no)


@some
@given(counts, counts, counts, counts)
def test_kappa_is_cohens(a: int, b: int, c: int, d: int) -> None:
    if not a + b + c + d:
        return
    people, judge = [1] * (a + b) + [0] * (c + d), [1] * a + [0] * b + [1] * c + [0] * d
    found = kappa(confusion(a, b, c, d))
    if len({*people, *judge}) == 1:
        assert isinstance(found, Unscored)
    else:
        assert isinstance(found, Interval)
        assert found.value == pytest.approx(cohen_kappa_score(people, judge), abs=1e-9)
        assert found.low <= found.high


@some
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=3, max_size=3), min_size=2, max_size=30))
def test_alpha_is_krippendorffs_with_labels_missing(labels: list[list[float]]) -> None:
    given_labels = [[int(one) for one in row if not math.isnan(one)] for row in labels]
    found = krippendorff_alpha(np.array(labels))
    kept = [row for row in given_labels if len(row) > 1]
    if len({one for row in kept for one in row}) < 2:
        assert isinstance(found, Unscored)
        return
    peer = peer_alpha("nominal")([SampleScore(score=Score(value=list(row))) for row in kept])  # type: ignore[arg-type]
    assert found == pytest.approx(peer)


def test_people_decide_by_majority_and_what_was_not_judged_is_counted_apart() -> None:
    labels = np.array([[1, 1, 0], [0, 0, np.nan], [1, 0, np.nan], [1, 1, 1], [0, 0, 1.0]])
    found = agreement([True, False, True, Unscored(reason="unreadable"), True], labels)
    assert found.confusion == confusion(1, 0, 1, 1)
    assert found.unscored == 1
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert isinstance(found.sensitivity, Interval) and found.sensitivity.value == 1 and found.sensitivity.low < 0.2
    assert isinstance(found.specificity, Interval) and found.specificity.value == 0.5


def test_one_class_leaves_its_rate_open() -> None:
    found = agreement([True, True], np.array([[1.0], [1.0]]))
    assert isinstance(found.specificity, Unscored) and isinstance(found.kappa, Unscored)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(InputError, match="both the judge and most of the people"):
        agreement([Unscored(reason="unreadable"), True], np.array([[1.0, 1.0], [1.0, 0.0]]))


def test_the_correction_by_hand() -> None:
    """30 of 100 with sensitivity 0.9 and specificity 0.8: (0.3 + 0.8 - 1) / 0.7."""
    found = corrected_rate(30, 100, confusion(90, 10, 20, 80))
    assert isinstance(found, Interval)
    assert found.value == pytest.approx(0.1 / 0.7)
    assert found.low < found.value < found.high


@some
@given(st.integers(1, 200), st.data())
def test_a_judge_who_knew_everything_needs_no_correction(judged: int, data: st.DataObject) -> None:
    yes = data.draw(st.integers(0, judged))
    found = corrected_rate(yes, judged, confusion(10**6, 0, 0, 10**6))
    assert isinstance(found, Interval)
    assert found.value == pytest.approx(yes / judged)
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("table", [(5, 5, 5, 5), (2, 8, 8, 2), (3, 0, 0, 0), (0, 0, 0, 3), (2, 1, 1, 2)])
def test_a_judge_not_shown_to_beat_chance_gives_no_rate(table: tuple[int, int, int, int]) -> None:
    found = corrected_rate(50, 100, confusion(*table))
    assert isinstance(found, Unscored) and "chance" in found.reason


def test_nothing_judged_gives_no_rate() -> None:
    assert isinstance(corrected_rate(0, 0, confusion(90, 10, 20, 80)), Unscored)


@pytest.mark.parametrize(
    ("rate", "sensitivity", "specificity", "judged", "labelled"),
    [(0.1, 0.8, 0.95, 100, 50), (0.0, 0.9, 0.9, 100, 50), (0.5, 0.7, 0.7, 100, 60), (0.3, 0.95, 0.85, 40, 30)],
)
def test_the_interval_holds_the_true_rate_as_often_as_it_says(
    rate: float, sensitivity: float, specificity: float, judged: int, labelled: int
) -> None:
    """Sensitivity and specificity are estimated anew each time: 93 % is what 1,000 draws tell from 95 % at 0.2 %."""
    rng, held, naive, made = np.random.default_rng(0), 0, 0, 0
    for _ in range(1000):
        right, rejected = rng.binomial(labelled, [sensitivity, specificity])
        yes = int(rng.binomial(judged, rate * sensitivity + (1 - rate) * (1 - specificity)))
        found = corrected_rate(yes, judged, confusion(right, labelled - right, labelled - rejected, rejected))
        if isinstance(found, Interval):
            made += 1
            held += found.low <= rate <= found.high
            certain = corrected_rate(
                yes,
                judged,
                confusion(right * 10**6, (labelled - right) * 10**6, (labelled - rejected) * 10**6, rejected * 10**6),
            )
            naive += isinstance(certain, Interval) and certain.low <= rate <= certain.high
    assert held >= 0.93 * made and made > 950
    assert held > naive  # as if the judge's errors were known
