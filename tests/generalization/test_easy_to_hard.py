"""Easy-to-hard: who is taught which levels, what SGR is of answers that are known, and when there is none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question, Unscored
from superalign.generalization.easy_to_hard import (
    Asked,
    Material,
    check,
    choices_of_test,
    choosing,
    divided,
    leaning,
    measured,
    paired,
)
from superalign.runs.studies import EasyToHardPlan
from superalign.tasks.choices import Choice, choice_lessons, choices
from superalign.tasks.splits import by_group

PLAN = EasyToHardPlan(task="cities", train_groups=40, test_groups=20, seeds=3, bootstrap=200)
THINGS = 40  # at each level


def test_all_models_are_taught_as_much_and_of_their_levels() -> None:
    found = divided(PLAN, seed=0)
    assert [kind for kind in found.taught if not kind.alone] == [Material(level, False) for level in range(4)]
    assert [kind for kind in found.taught if kind.alone] == [Material(level, True) for level in range(1, 5)]
    for kind, questions in found.taught.items():
        assert len(set(by_group(questions))) == PLAN.train_groups
        assert len(questions) == 2 * PLAN.train_groups
        levels = Counter(question.level for question in questions)
        assert set(levels) == ({kind.level} if kind.alone else set(range(kind.level + 1)))
        assert max(levels.values()) - min(levels.values()) <= 2


def test_nothing_that_is_taught_is_tested() -> None:
    found = divided(PLAN, seed=0)
    taught = {question.group for own in found.taught.values() for question in own}
    assert not taught & set(by_group(found.test))
    assert Counter(question.level for question in found.test) == dict.fromkeys(range(5), 2 * PLAN.test_groups)


@pytest.mark.parametrize(
    ("changed", "says"), [({"train_groups": 290}, "groups left"), ({"task": "same-country"}, "one level|groups left")]
)
def test_what_the_task_has_not_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError, match=says):
        check(PLAN.model_copy(update={"test_groups": 100, "train_groups": 5000} | changed), seed=0)


def right_ones(share: float, seeds: int = 3, levels: int = 3) -> np.ndarray:
    """Margins that are right on the first so many things of each level."""
    row = np.where(np.arange(THINGS) < round(share * THINGS), 1.0, -1.0)
    return np.tile(row, (seeds, levels)) * np.where(asked(levels).truth, 1, -1)


def asked(levels: int = 3) -> Asked:
    size = levels * THINGS
    level = tuple(place // THINGS for place in range(size))
    return Asked("evaluator", np.arange(size) % 2 == 0, tuple(map(str, range(size))), level)


def answers(easy: float, hard: float, zero: float = 0.5) -> dict[Material | None, np.ndarray]:
    kinds = [Material(0, False), Material(1, False), Material(1, True), Material(2, True)]
    return {None: right_ones(zero, 1)} | {kind: right_ones(hard if kind.alone else easy) for kind in kinds}


def test_sgr_of_known_answers() -> None:
    found = measured(asked(), answers(easy=0.8, hard=0.9), PLAN, seed=0)
    assert [len(kind.recovered) for kind in found.up_to] == [2, 1]
    for kind in found.up_to:
        assert [own.value for own in kind.accuracy] == pytest.approx([0.8] * 3)
        for ratio in kind.recovered:
            assert ratio.defined and ratio.value == pytest.approx(0.75)
            assert ratio.low is not None and ratio.high is not None and ratio.low <= 0.75 <= ratio.high
    assert [own.value for own in found.zero_shot] == [0.5] * 3
    # At the easiest level its own labels are all that was taught up to there.
    assert [own.value for own in found.own_level] == pytest.approx([0.8, 0.9, 0.9])


@pytest.mark.parametrize("hard", [0.5, 0.4, 0.525])
def test_there_is_no_ratio_where_hard_labels_bring_nothing(hard: float) -> None:
    found = measured(asked(), answers(easy=0.7, hard=hard), PLAN, seed=0)
    for ratio in (ratio for kind in found.up_to for ratio in kind.recovered):
        assert not ratio.defined and ratio.value is None
        assert "gap from base to model of the level's own labels" in ratio.reason


def test_sgr_is_neither_clipped_nor_dropped() -> None:
    low, high = (
        measured(asked(), answers(easy=easy, hard=0.8), PLAN, seed=0).up_to[0].recovered[0].value
        for easy in (0.35, 0.95)
    )
    assert low == pytest.approx(-0.5) and high == pytest.approx(1.5)


def pair() -> tuple[Choice, dict[str, bool]]:
    own = [
        Question(id=f"c/{country}", prompt=f"Is the city of Rome in {country}?", level=0, group="Rome")
        for country in ("Italy", "Peru")
    ]
    [found] = choices(own, seed=0).values()
    assert isinstance(found, Choice)
    return found, {"c/Italy": True, "c/Peru": False}


def test_a_generator_takes_the_one_that_it_names_and_neither_is_half_right() -> None:
    own, _ = pair()
    first, second = own.answers
    said = (first, f"It is in {second}.", "Rome", f"{first} or {second}")
    assert [leaning(text, own) for text in said] == [1, -1, 0, 0]
    assert leaning(first, own.turned) == -1
    assert leaning(Unscored(reason="no answer"), own) == 0


def test_generators_are_taught_the_right_one_in_both_orders() -> None:
    own, truth = pair()
    lessons = choice_lessons([own], AnswerKey(truth=truth))
    assert [lesson.answer for lesson in lessons] == ["Italy", "Italy"]
    assert len({lesson.conversation for lesson in lessons}) == 2


def test_the_first_of_two_answers_is_the_right_one_as_often_as_not() -> None:
    found = divided(PLAN, seed=0)
    pairs = paired(found)
    assert not isinstance(pairs, Unscored)
    tested, asked = choices_of_test(found, pairs, "generator")
    assert asked.truth.tolist() == [True, False] * (len(tested) // 2)
    assert asked.truth.tolist() == [found.key.truth[own.questions[0].id] for own in tested]
    assert Counter(asked.levels) == dict.fromkeys(range(5), PLAN.test_groups)


def test_the_choosing_evaluator_takes_what_it_says_yes_to_more() -> None:
    """One that says yes to everything, but less to what is false, decides badly and chooses well."""
    found = divided(PLAN, seed=0)
    pairs = paired(found)
    assert not isinstance(pairs, Unscored)
    truth = found.key.of(found.test)
    margins = np.where(truth, 3.0, 1.0)[None]
    kinds: list[Material | None] = [None, *found.taught]
    role = choosing(dict.fromkeys(kinds, margins), found, pairs, PLAN, seed=0)
    assert {own.value for kind in role.up_to for own in kind.accuracy} == {1.0}
    assert role.answers == len(kinds) * len(truth) / 2
    evaluator = measured(
        Asked("evaluator", truth, tuple(by_group(found.test)), tuple(q.level for q in found.test)),
        dict.fromkeys(kinds, margins),
        PLAN,
        seed=0,
    )
    assert {own.value for own in evaluator.zero_shot} == {0.5}


def test_questions_that_are_no_pairs_have_no_generator() -> None:
    found = divided(PLAN, seed=0)
    assert isinstance(paired(replace(found, test=found.test[:-1])), Unscored)
