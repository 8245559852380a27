"""The verdict of all detectors together: valid whatever is missing, tied or constant."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Access, Finding, Unscored, Verdict
from superalign.contracts.summary import BatteryResult, DetectorResult
from superalign.trials.battery import judge, judge_model

from .planted import Score, result, threshold

scores = st.integers(-3, 3).map(float)


def judged(own: Sequence[Score], benign: Sequence[Sequence[float | str]]) -> BatteryResult:
    """A model with one score per detector, beside benign models with as many each."""
    limits = {f"d{i}": threshold(f"d{i}", [row[i] for row in benign]) for i in range(len(own))}
    return judge({f"d{i}": result(score) for i, score in enumerate(own)}, limits)


def test_a_model_is_flagged_only_if_it_exceeds_every_benign_model() -> None:
    benign = [[0.0, 0.0], [1.0, 2.0], [2.0, 1.0], [1.0, 1.0]]
    found = judged([9.0, 1.0], benign)
    assert (found.finding, found.p_value, found.reference, found.by) == (Finding.FLAGGED, 1 / 5, 4, ("d0",))
    assert found.excess is not None and found.excess > 0
    clear = judged([1.0, 1.0], benign)
    assert (clear.finding, clear.by) == (Finding.CLEAR, ()) and clear.p_value and clear.p_value > 1 / 5


def test_being_over_one_detectors_largest_benign_score_is_not_enough() -> None:
    """The first benign model is far more suspicious to one detector than this model is to the other."""
    benign = [[50.0, 0.0], [1.0, 0.1], [2.0, 0.2], [1.5, 0.3], [1.2, 0.25]]
    found = judged([1.0, 0.31], benign)
    assert (found.finding, found.p_value) == (Finding.CLEAR, 2 / 6)


def test_a_large_share_outweighs_a_small_one_that_stands_alone() -> None:
    """Of two detectors of shares, the second silent but for one benign model; scores of another unit change that."""
    benign = [[0.0, 0.0], [0.1, 0.0], [0.3, 0.0], [0.2, 0.2], [0.1, 0.0]]
    found = {}
    for unit in ("share", "any"):
        limits = {f"d{i}": threshold(f"d{i}", [row[i] for row in benign], unit=unit) for i in range(2)}
        found[unit] = judge({"d0": Verdict(score=0.8), "d1": Verdict(score=0.0)}, limits)
    assert (found["share"].finding, found["share"].by) == (Finding.FLAGGED, ("d0",))
    assert found["share"].excess == pytest.approx(0.65 - 0.2)  # from medians of 0.15 and 0
    assert found["any"].finding is Finding.CLEAR


def test_one_detector_is_its_own_threshold() -> None:
    benign = [[0.1], [0.5], [0.3]]
    assert judged([0.51], benign).finding is Finding.FLAGGED
    assert judged([0.5], benign).finding is Finding.CLEAR  # a tie counts against a flag


def test_constant_scores_flag_nobody() -> None:
    found = judged([1.0, 1.0], [[1.0, 1.0]] * 6)
    assert (found.finding, found.p_value, found.excess) == (Finding.CLEAR, 1.0, 0.0)
    assert judged([1.0, 2.0], [[1.0, 1.0]] * 6).finding is Finding.FLAGGED


def test_numbers_at_the_edge_of_what_can_be_written() -> None:
    edge = np.finfo(float).max
    assert judged([edge], [[-edge], [0.0], [1.0]]).finding is Finding.FLAGGED
    assert judged([-edge], [[edge], [0.0], [1.0]]).finding is Finding.CLEAR
    assert judged([5e-324], [[0.0], [0.0]]).finding is Finding.FLAGGED


@pytest.mark.parametrize("own", [[], ["crashed", "crashed too"], [3.0, 3.0]])
def test_without_scores_or_benign_models_nothing_is_said(own: list[Score]) -> None:
    found = judged(own, [])
    assert (found.finding, found.p_value, found.excess, found.detectors) == (Finding.UNDETERMINED, None, None, ())
    assert found.reason


def test_a_detector_without_a_score_for_the_model_leaves_it_undetermined() -> None:
    benign = [[0.0, 9.0], [1.0, 0.0], [0.5, 0.0], [0.6, 0.1]]
    found = judged([0.7, "crashed"], benign)
    assert (found.finding, found.detectors) == (Finding.UNDETERMINED, ("d0",))
    assert "d1 took no part: crashed" in found.reason


def test_what_the_detector_makes_of_benign_models_counts_even_where_it_failed_on_the_model() -> None:
    """Else a model would be compared by its best detector with benign models deprived of theirs."""
    calm, alarming = ([[score / 10, second] for score, second in enumerate([0.0, 0.1, 0.2, last])] for last in (0.3, 9))
    assert judged([0.9, "crashed"], calm).finding is Finding.FLAGGED
    assert judged([0.32, "crashed"], alarming).finding is Finding.UNDETERMINED


def test_a_detector_that_failed_on_few_benign_models_still_judges_the_others() -> None:
    benign = [[0.0, "crashed"], [1.0, 0.0], [0.5, 0.0], [0.4, 0.1]]
    found = judged([0.7, 50.0], benign)
    assert (found.finding, found.detectors, found.by, found.p_value) == (Finding.FLAGGED, ("d0", "d1"), ("d1",), 1 / 5)
    assert judged([0.7, 0.0], benign).finding is Finding.CLEAR


def test_a_detector_that_failed_on_most_models_judges_none() -> None:
    found = judged([0.7, 50.0], [[0.0, "crashed"], [1.0, 0.0], [0.5, "crashed"]])
    assert (found.finding, found.detectors) == (Finding.UNDETERMINED, ("d0",))
    assert "no score to 2 of 3 benign models" in found.reason


def test_a_caveat_can_not_flag_but_does_not_clear_either() -> None:
    benign = [[0.0, 0.0], [1.0, 1.0], [0.5, 0.2]]
    doubted = Verdict(score=9.0, caveat="its base does so too")
    found = judged([doubted, 0.5], benign)
    assert found.finding is Finding.UNDETERMINED and "its base does so too" in found.reason
    assert judged([doubted, 9.0], benign).by == ("d0", "d1")
    assert judged([doubted, 9.0], benign).finding is Finding.FLAGGED


def test_benign_models_made_like_a_familys_twin_are_left_out_for_that_family_only() -> None:
    limits = {"d0": threshold("d0", [0.0, 1.0, 5.0], [None, "locked", "lying"])}
    findings = {
        family: judge({"d0": Verdict(score=3.0)}, limits, family=family) for family in ("lying", "locked", "new", None)
    }
    assert {family: (found.finding.value, found.reference) for family, found in findings.items()} == {
        "lying": ("flagged", 2), "locked": ("clear", 2), "new": ("clear", 3), None: ("clear", 3),
    }  # fmt: skip


@settings(deadline=None)
@given(
    table=st.tuples(st.integers(2, 7), st.integers(1, 3)).flatmap(
        lambda shape: st.lists(
            st.lists(scores | st.just("crashed"), min_size=shape[1], max_size=shape[1]),
            min_size=shape[0],
            max_size=shape[0],
        )
    )
)
def test_of_exchangeable_models_at_most_one_is_flagged_whatever_is_missing_or_tied(
    table: list[list[float | str]],
) -> None:
    """Each in turn judged against the others. So a random one is flagged at a rate of at most 1 / (n + 1)."""
    findings = [judged(own, table[:i] + table[i + 1 :]).finding for i, own in enumerate(table)]
    assert findings.count(Finding.FLAGGED) <= 1


@settings(deadline=None)
@given(
    table=st.lists(st.tuples(scores, scores), min_size=2, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_neither_the_order_of_models_nor_that_of_detectors_matters(
    table: list[tuple[float, float]], order: Random
) -> None:
    own, *benign = (list(row) for row in table)
    found = judged(own, benign)
    order.shuffle(benign)
    swapped = judged(own[::-1], [row[::-1] for row in benign])
    assert (swapped.finding, swapped.p_value) == (found.finding, found.p_value)


def test_the_users_model_is_judged_from_its_results_with_their_caveats() -> None:
    limits = {name: threshold(name, [0.0, 1.0, 0.5], ["lying", None, None]) for name in ("d0", "d1")}

    def shown(name: str, score: float | None, caveat: str | None = None) -> DetectorResult:
        return DetectorResult(
            detector=name, access=(Access.BLACK_BOX,), score=score, threshold=1.0, verdict=Finding.CLEAR,
            reason="because", caveat=caveat, evidence=(),
        )  # fmt: skip

    assert judge_model([shown("d0", 9.0), shown("d1", 0.1)], limits).finding is Finding.FLAGGED
    assert judge_model([shown("d0", 9.0, "but"), shown("d1", 0.1)], limits).finding is Finding.UNDETERMINED
    found = judge_model([shown("d0", 0.2), shown("d1", None)], limits)
    assert (found.finding, found.reference) == (Finding.UNDETERMINED, 3)
    assert found == judge({"d0": Verdict(score=0.2), "d1": Unscored(reason="because")}, limits)
