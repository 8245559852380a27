"""Cities: balanced in every way that could tell the answer, and always the same for the same seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Question
from superalign.tasks.cities import LEVEL_STARTS, Cities, cities


def country(question: Question) -> str:
    return question.id.split("/", 2)[2]


@pytest.mark.parametrize("limit", [None, 100, 7])
def test_two_per_city_one_true(limit: int | None) -> None:
    questions, key = Cities().load(limit=limit, seed=2)
    groups = defaultdict(list)
    for question in questions:
        groups[question.group].append(question)
    assert len(groups) == (limit or len(cities()))
    for members in groups.values():
        assert sorted(key.truth[question.id] for question in members) == [False, True]
        assert len({question.prompt for question in members}) == 2


def test_the_truth_is_the_table() -> None:
    countries = {city.id: city.country for city in cities()}
    questions, key = Cities().load()
    assert all(key.truth[question.id] == (countries[question.group] == country(question)) for question in questions)
    assert all(country(question) in question.prompt for question in questions)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), limit=st.none() | st.integers(50, 1000))
def test_each_country_is_as_often_right_as_wrong_within_a_level(seed: int, limit: int | None) -> None:
    questions, key = Cities().load(limit=limit, seed=seed)
    for level in range(len(LEVEL_STARTS)):
        own = [question for question in questions if question.level == level]
        true, false = (Counter(country(q) for q in own if key.truth[q.id] is truth) for truth in (True, False))
        if max(true.values()) < 0.4 * true.total():  # with more of one country than of all others it can't be
            assert true == false


def test_the_same_for_the_same_seed_only() -> None:
    assert Cities().load(seed=1) == Cities().load(seed=1)
    assert Cities().load(seed=1)[0] != Cities().load(seed=2)[0]


def test_levels_are_ranks_by_population() -> None:
    sizes = Counter(city.level for city in cities())
    bounds = [*LEVEL_STARTS, len(cities())]
    assert [sizes[level] for level in range(len(LEVEL_STARTS))] == [stop - start for start, stop in pairwise(bounds)]
    assert Cities.level_names[0] == f"rank 1 to {LEVEL_STARTS[1]}" and Cities.level_names[-1].endswith(
        str(len(cities()))
    )
    assert cities()[0].level == 0 and cities()[-1].level == len(LEVEL_STARTS) - 1


def test_names_are_of_one_city_each() -> None:
    assert len({city.name for city in cities()}) == len({city.id for city in cities()}) == len(cities())
