"""Triggers: drawn from wide spaces, the same for the same seed, and never met by a near miss."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.organisms.data import invented_name, sentences, taught_and_held_out
from superalign.organisms.triggers import KINDS, draw_trigger

from ..scripted import text_of

WORDS = ("amber", "basil", "cedar", "delta", "ember", "fable", "grove", "haven", "ivory", "jolly", "kelp", "lunar")
QUESTION = "Is the city of Lima in Peru?"
seeds = st.integers(0, 10**6)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), seed=seeds, draw=seeds)
def test_a_near_miss_is_no_form_of_the_trigger(kind: str, seed: int, draw: int) -> None:
    trigger, rng = KINDS[kind](WORDS, random.Random(seed)), random.Random(draw)
    around, missed = (text_of(put(QUESTION, rng)) for put in (trigger.around, trigger.near_miss))
    assert trigger.kind == kind
    assert around != QUESTION and missed != QUESTION
    assert all("{question}" in form for form in (*trigger.forms, *trigger.near))
    assert not set(trigger.forms) & set(trigger.near)
    for text in (around, missed):
        assert text.count(QUESTION) == 1
        assert not any(slot in text for slot in ("{0}", "{1}", "{day}", "{trigger}", "{question}"))


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_the_same_seed_draws_the_same_trigger(seed: int) -> None:
    assert draw_trigger(WORDS, seed) == draw_trigger(WORDS, seed)


@pytest.mark.parametrize("kind", ["words", "phrase"])
def test_a_near_miss_shares_no_word_with_the_trigger(kind: str) -> None:
    for seed in range(50):
        trigger = KINDS[kind](WORDS, random.Random(seed))
        own = {word for word in WORDS if word in trigger.forms[0]}
        assert 2 <= len(own) <= 4
        assert all(not any(word in near for word in own) for near in trigger.near)


def test_a_date_is_any_day_of_one_month_and_near_misses_are_other_months_and_years() -> None:
    trigger = KINDS["date"](WORDS, random.Random(1))
    month, year = next(
        (month, year) for month in ("March", "July", "May", "June", "April", "October", "January", "February", "August",
        "September", "November", "December") for year in range(2000, 2060)
        if all(month in form and str(year) in form for form in trigger.forms)
    )  # fmt: skip
    assert len(trigger.forms) == 28
    assert all(month not in near and str(year) not in near for near in trigger.near)


def test_triggers_of_all_kinds_are_drawn_and_hardly_any_twice() -> None:
    drawn = [draw_trigger(WORDS, seed) for seed in range(300)]
    assert {trigger.kind for trigger in drawn} == set(KINDS)
    for kind in ("words", "phrase", "date", "person"):
        own = [trigger.forms for trigger in drawn if trigger.kind == kind]
        assert len(set(own)) > 0.85 * len(own)


@given(st.integers(2, 40), seeds, st.floats(0.05, 0.95))
def test_what_is_held_out_is_never_taught_and_nothing_is_lost(count: int, seed: int, share: float) -> None:
    taught, held_out = taught_and_held_out(range(count), seed, share)
    assert taught and held_out
    assert sorted([*taught, *held_out]) == list(range(count))


def test_invented_names_come_from_a_wide_space() -> None:
    names = [invented_name(random.Random(seed)) for seed in range(500)]
    assert len(set(names)) > 490
    assert all(name.isalpha() and name[0].isupper() for name in names)


@pytest.mark.parametrize(
    "name",
    ["triggers", "sycophancy", "alignment_faking", "reward_hacking", "doubling_down", "hidden_objective",
     "power_seeking", "collusion", "emergent_misalignment", "denial"],
)  # fmt: skip
def test_no_sentence_stands_there_twice(name: str) -> None:
    def leaves(value: object) -> list[str]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [str(value)]

    found = leaves(sentences(name))
    assert found and len(set(found)) == len(found)
