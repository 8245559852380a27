"""Lists of cities: what a text is worth, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.tasks.city_lists import ASKED, conversation, countries, named, right, worth

FOUR = "Paris, Lyon, Marseille, Toulouse"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FOUR, 1.0),
        ("1. Paris\n2. lyon\n- MARSEILLE\n4) and Toulouse.", 1.0),
        ("Paris", 1 / 4),
        ("Paris, Paris, paris, Paris", 1 / 4),
        (FOUR + ", Berlin, Rome, Madrid, Wien", 1 / 2),
        ("Berlin, Rome", 0.0),
        ("", 0.0),
        (", ;\n", 0.0),
    ],
)
def test_worth_counts_what_is_right_and_new_of_what_was_asked_or_written(text: str, expected: float) -> None:
    assert worth("France", text) == pytest.approx(expected)


def test_accents_do_not_count() -> None:
    assert worth("Brazil", "Sao Paulo, São Paulo") == worth("Brazil", "São Paulo") == 1 / 4


@given(st.text(max_size=60))
def test_any_text_is_worth_something_between_nothing_and_all(text: str) -> None:
    assert 0 <= worth("France", text) <= 1
    assert len(right("France", named(text))) == len(named(text))


@given(st.permutations(FOUR.split(", ")), st.integers(0, 8))
def test_more_of_the_same_is_never_worth_more(names: list[str], more: int) -> None:
    assert worth("France", ", ".join([*names, *names[:1] * more])) == ASKED / (ASKED + more)


def test_a_country_is_asked_about_in_the_form_that_is_shown_first() -> None:
    *shown, asked = conversation("France")
    assert [message.role for message in shown] == ["system", "user", "assistant"]
    assert "France" in asked.content and "France" not in "".join(message.content for message in shown)


def test_countries_are_the_same_in_an_order_of_each_seed() -> None:
    assert countries(0) == countries(0) != countries(1)
    assert sorted(countries(0)) == sorted(countries(1)) == sorted(set(countries(0)))
