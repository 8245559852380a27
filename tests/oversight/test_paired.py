"""Paired statistics: on which questions, with which intervals, and what is said where there is nothing to measure."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.records import Interval, Question, Unscored
from superalign.oversight.paired import Paired, right
from tests.oversight.docketed import game


def questions(groups: int) -> list[Question]:
    return [Question(id=f"t/{g}/{i}", prompt="?", level=0, group=str(g)) for g in range(groups) for i in range(2)]


def test_a_difference_is_taken_on_the_questions_that_both_have() -> None:
    gone = Unscored(reason="gone")
    columns = {"a": [1.0, 1.0, 0.0, gone] * 10, "b": [0.0, 1.0, gone, 1.0] * 10}
    found = Paired(questions(20), columns)
    assert value(found.difference("a", "b")) == 0.5
    assert value(found.difference("a", "b", apart=True)) == pytest.approx(2 / 3 - 2 / 3)
    assert value(found.mean("a")) == pytest.approx(2 / 3)


def test_questions_that_a_column_is_not_about_count_for_nothing() -> None:
    found = Paired(questions(20), {"a": [1.0, None] * 20, "b": [None, 0.0] * 20})
    assert value(found.mean("a")) == 1.0 and value(found.mean("b")) == 0.0
    assert isinstance(found.difference("a", "b"), Unscored)
    assert value(found.difference("a", "b", apart=True)) == 1.0


def test_all_alike_is_no_certainty() -> None:
    found = Paired(questions(20), {"a": [1.0] * 40}).mean("a")
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(0.025 ** (1 / 20)) and found.high == 1.0  # 20 groups, not 40 questions


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    rng = np.random.default_rng(0)
    shared = rng.random(400)
    columns = {
        "a": list(map(float, shared + 0.1)),
        "b": list(map(float, shared)),
        "c": list(map(float, rng.permutation(shared))),
    }
    found = Paired(questions(200), columns)
    paired, unpaired = found.difference("a", "b"), found.difference("a", "c")
    assert isinstance(paired, Interval) and isinstance(unpaired, Interval)
    assert paired.high - paired.low < 1e-9 < unpaired.high - unpaired.low


def test_the_reason_is_kept_where_nothing_was_scored() -> None:
    found = Paired(questions(4), {"a": [Unscored(reason="no answer")] * 8}).mean("a")
    assert found == Unscored(reason="no answer")
    assert isinstance(Paired(questions(4), {"a": [None] * 8}).mean("a"), Unscored)


def test_the_interval_covers_where_groups_stand_or_fall_together() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(100):
        hits = np.repeat(rng.random(60) < 0.7, 2).astype(float)
        found = Paired(questions(60), {"a": hits.tolist()}).mean("a")
        assert isinstance(found, Interval)
        covered += found.low <= 0.7 <= found.high
    assert covered >= 88


def test_half_sure_is_half_right() -> None:
    docket = game(groups=4)
    truth = docket.key.of(docket.questions)
    said = [0.5, *(0.9 if own else 0.1 for own in truth[1:])]
    assert right(said, docket.questions, docket.key) == [0.5] + [1.0] * (len(truth) - 1)


def value(found: Interval | Unscored) -> float:
    assert isinstance(found, Interval), found
    return found.value
