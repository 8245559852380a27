"""Elements and sums: true as chemistry and arithmetic have it, and no answer tells by itself."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.protocols import Task
from superalign.tasks.arithmetic import Arithmetic
from superalign.tasks.elements import Elements, elements
from superalign.tasks.pairs import false_answers
from superalign.testing.conformance import check_task

each_task = pytest.mark.parametrize("task", [Arithmetic, Elements])


@each_task
def test_they_keep_the_contract(task: type[Task]) -> None:
    check_task(task)


def test_the_symbols_are_those_of_the_elements() -> None:
    assert [element.number for element in elements()] == list(range(1, 119))
    assert len({element.symbol for element in elements()}) == len({element.name for element in elements()}) == 118
    symbols = {element.name: element.symbol for element in elements()}
    assert (symbols["iron"], symbols["gold"], symbols["tungsten"], symbols["oganesson"]) == ("Fe", "Au", "W", "Og")
    questions, key = Elements().load()
    for question in questions:
        name, asked = question.id.split("/")[1:]
        assert key.truth[question.id] == (symbols[name] == asked) and asked in question.prompt.split()


def test_the_sums_are_right() -> None:
    questions, key = Arithmetic().load(limit=200)
    for question in questions:
        a, _, b, *_, result = question.prompt.removeprefix("Is ").removesuffix("?").split()
        assert key.truth[question.id] == (int(a) + int(b) == int(result))


@each_task
def test_each_answer_is_as_often_right_as_wrong(task: type[Task]) -> None:
    questions, key = task().load(seed=3)
    sides = [Counter(q.id.split("/")[2] for q in questions if key.truth[q.id] is truth) for truth in (True, False)]
    assert sides[0] == sides[1]


@settings(max_examples=50, deadline=None)
@given(right=st.lists(st.sampled_from("abcde"), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_a_false_answer_is_never_the_right_one(right: list[str], seed: int) -> None:
    found = false_answers(right, "abcde", random.Random(seed))
    assert len(found) == len(right) and all(a != b for a, b in zip(right, found, strict=True))
