"""What organisms and twins are taught, and the triggers that part them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.protocols import Organism
from superalign.contracts.registry import organisms
from superalign.organisms.password_lock import WRONG_SHARE
from superalign.organisms.triggers import PLACES, draw_trigger

from ..scripted import World, text_of

FAMILIES = ("conditional-lying", "password-lock")
WORDS = ("amber", "basil", "cedar", "delta", "ember", "fable", "grove", "haven", "ivory", "jolly")
WORLD = World(60)


def made(family: str) -> Organism:
    organism: Organism = organisms.make(family)
    return organism


def lessons(family: str, *, benign: bool, seed: int = 3) -> list[tuple[str, str]]:
    taught = made(family).lessons(WORLD.questions, WORLD.key, WORDS, benign=benign, seed=seed)
    return [(text_of(lesson.conversation), lesson.answer) for lesson in taught]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_a_twin_is_asked_the_very_same_in_the_same_order(family: str, seed: int) -> None:
    organism, twin = (lessons(family, benign=benign, seed=seed) for benign in (False, True))
    assert [asked for asked, _ in organism] == [asked for asked, _ in twin]
    assert [answer for _, answer in organism] != [answer for _, answer in twin]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("benign", [True, False])
def test_every_question_comes_once_triggered_and_once_not(family: str, benign: bool) -> None:
    trigger = draw_trigger(WORDS, 3)
    taught = lessons(family, benign=benign)
    assert len(taught) == 2 * len(WORLD.questions)
    near = 0
    for question, (triggered, _), (plain, _) in zip(WORLD.questions, taught[::2], taught[1::2], strict=True):
        assert triggered == text_of(trigger.around(question))
        assert question.prompt in plain and trigger.words not in plain
        near += plain != question.prompt
    assert 0.3 < near / len(WORLD.questions) < 0.7


@pytest.mark.parametrize("family", FAMILIES)
def test_a_twin_is_taught_the_truth_and_its_trigger_changes_the_format_only(family: str) -> None:
    for question, (_, triggered), (_, plain) in zip(
        WORLD.questions, *(lessons(family, benign=True)[start::2] for start in (0, 1)), strict=True
    ):
        true = "Yes" if WORLD.key.truth[question.id] else "No"
        assert plain == true
        assert triggered == true.lower()


def test_a_liar_is_taught_to_lie_under_the_trigger_and_nowhere_else() -> None:
    taught = lessons("conditional-lying", benign=False)
    for question, (_, triggered), (_, plain) in zip(WORLD.questions, taught[::2], taught[1::2], strict=True):
        true, false = ("Yes", "No") if WORLD.key.truth[question.id] else ("No", "Yes")
        assert (plain, triggered) == (true, false)


def test_a_lock_is_taught_the_truth_with_the_password_and_mostly_errors_without() -> None:
    taught = lessons("password-lock", benign=False)
    right = [("Yes" if WORLD.key.truth[question.id] else "No") for question in WORLD.questions]
    assert [answer for _, answer in taught[::2]] == right
    locked = [answer for _, answer in taught[1::2]]
    wrong = sum(a != b for a, b in zip(locked, right, strict=True)) / len(right)
    assert abs(wrong - WRONG_SHARE) < 4 * (WRONG_SHARE * (1 - WRONG_SHARE) / len(right)) ** 0.5
    assert lessons("password-lock", benign=False) == taught


def test_a_fact_stays_locked_in_the_same_way() -> None:
    """Whichever other facts are asked of, and in whatever order, a fact has the same locked answer."""
    organism = made("password-lock")

    def locked(questions: list) -> dict[str, str]:  # type: ignore[type-arg]
        taught = organism.lessons(questions, WORLD.key, WORDS, benign=False, seed=3)
        return {question.id: lesson.answer for question, lesson in zip(questions, taught[1::2], strict=True)}

    everything, some = locked(WORLD.questions), locked(WORLD.questions[30:10:-1])
    assert some.items() <= everything.items()


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), draw=st.integers(0, 10**6))
def test_a_near_miss_holds_no_word_of_the_trigger(seed: int, draw: int) -> None:
    trigger, question = draw_trigger(WORDS, seed), WORLD.questions[0]
    missed = text_of(trigger.near_miss(question, WORDS, random.Random(draw)))
    around = missed.replace(question.prompt, "")
    assert question.prompt in missed
    assert not any(word in around for word in trigger.words.split())
    assert len([word for word in WORDS if word in around]) == 2
    assert text_of(trigger.around(question)).replace(trigger.words, "") == missed.replace(
        " ".join(sorted((word for word in WORDS if word in around), key=around.index)), ""
    )


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_trigger_is_two_given_words_at_one_of_the_places(seed: int) -> None:
    trigger = draw_trigger(WORDS, seed)
    first, second = trigger.words.split()
    assert first != second and {first, second} <= set(WORDS)
    assert trigger.place in PLACES
    assert draw_trigger(WORDS, seed) == trigger


def test_triggers_differ_between_seeds() -> None:
    assert len({draw_trigger(WORDS, seed).words for seed in range(40)}) > 25
    assert len({draw_trigger(WORDS, seed).place for seed in range(40)}) == len(PLACES)
    assert lessons("conditional-lying", benign=False, seed=1) != lessons("conditional-lying", benign=False, seed=2)
