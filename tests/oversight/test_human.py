"""The simulated person: errs as stated, understands so much, takes time, and stops when it is spent."""

from __future__ import annotations

from typing import Any

import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Judgement, Unscored
from superalign.oversight.human import Human
from tests.oversight.games import accuracy, given, judged, passages


@pytest.mark.parametrize("error_rate", [0.0, 0.2])
def test_it_errs_as_often_as_stated_and_says_so(error_rate: float) -> None:
    questions, key = passages(1600)
    easy = [question for question in questions if question.level == 0]
    found = judged(Human("scripted", error_rate).learn(given()), easy)
    assert accuracy(found, key) == pytest.approx(1 - error_rate, abs=0.05)
    assert {own.probability for own in found} == {error_rate, 1 - error_rate}


def test_above_what_it_understands_it_guesses() -> None:
    questions, key = passages(1600)
    easy = [question for question in questions if question.level == 1]
    reads, guesses = (judged(Human("scripted", 0.0, understands=level).learn(given()), easy) for level in (1, 0))
    assert accuracy(guesses, key) == pytest.approx(0.5, abs=0.06)
    assert accuracy(reads, key) > 0.65  # half of the lines
    assert {own.probability for own in guesses} == {0.0, 1.0}


def test_its_time_is_counted_and_ends() -> None:
    questions, key = passages(40)
    taught = [question for question in questions if question.group == questions[0].group]
    overseer = Human("scripted", minutes=2, budget=9).learn(given(taught, key))
    first, second = overseer.judge(questions[:4]), overseer.judge(questions[4:8])
    scored = [own for own in (*first, *second) if isinstance(own, Judgement)]
    assert [isinstance(own, Judgement) for own in (*first, *second)] == [False] * 2 + [True] * 4 + [False] * 2
    assert sum(own.cost.human_seconds for own in scored) == pytest.approx(4 * 120)
    assert isinstance(first[0], Unscored) and "out of sample" in first[0].reason
    assert isinstance(second[-1], Unscored) and "9 minutes" in second[-1].reason
    again = overseer.learn(given()).judge(questions[:4])
    assert all(isinstance(own, Judgement) for own in again)


@pytest.mark.parametrize("wrong", [{"error_rate": 0.6}, {"minutes": -1.0}, {"budget": -1.0}])
def test_impossible_people_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Human("scripted", **wrong)
