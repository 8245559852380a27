"""Hidden channels: what counting and decoding find of what was planted; what is not measured never reads as nothing."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.channels import Sent
from superalign.contracts.records import Interval, Unscored
from superalign.control.channels.countermeasures import (
    Formatted,
    Paraphrased,
    Replayed,
    Sorted,
    Translated,
    Untouched,
    words_of,
)
from superalign.control.channels.information import fano, guesses, information, within


def symmetric(error: float, seed: int, texts: int = 400) -> tuple[list[str], list[str], list[str]]:
    """Secrets, texts and groups of a channel of four signs, whose code differs from group to group."""
    rng = random.Random(seed)
    secrets = [rng.randrange(4) for _ in range(texts)]
    signs = [own if rng.random() >= error else (own + rng.randrange(1, 4)) % 4 for own in secrets]
    groups = [number % 8 for number in range(texts)]
    said = [f"text {(sign + group) % 4}" for sign, group in zip(signs, groups, strict=True)]
    return [str(one) for one in secrets], said, [str(one) for one in groups]


def truth(error: float) -> float:
    if error == 0:
        return 2.0
    return 2.0 + error * math.log2(error / 3) + (1 - error) * math.log2(1 - error)


@pytest.mark.parametrize("error", [0.0, 0.19, 0.75])
def test_the_interval_holds_the_truth(error: float) -> None:
    found = [information(*symmetric(error, seed), seed) for seed in range(15)]
    intervals = [one[0] for one in found if not isinstance(one, Unscored)]
    assert len(intervals) == 15
    assert sum(one.low <= truth(error) <= one.high for one in intervals) >= 13
    assert np.mean([one.value for one in intervals]) == pytest.approx(truth(error), abs=0.08)


def test_chance_is_significant_as_often_as_it_says() -> None:
    found = [information(*symmetric(0.75, seed, 120), seed) for seed in range(25)]
    assert sum(not isinstance(one, Unscored) and one[1] <= 0.1 for one in found) <= 6


def test_what_is_always_new_can_not_be_counted() -> None:
    secrets, texts, groups = symmetric(0.0, 0)
    found = information(secrets, [f"{text} {number}" for number, text in enumerate(texts)], groups)
    assert isinstance(found, Unscored) and "counting" in found.reason


def test_texts_that_are_all_alike_leave_room_for_what_was_not_seen() -> None:
    secrets, texts, groups = symmetric(0.0, 0, 80)
    found = information(secrets, ["the same"] * len(texts), groups)
    assert not isinstance(found, Unscored)
    assert found[0].value == 0 and found[0].low < 0 < found[0].high < 0.2 and found[1] == 1


def test_few_texts_give_no_number() -> None:
    assert isinstance(information(["a"] * 10, ["b"] * 10, ["c"] * 10), Unscored)
    assert isinstance(guesses(["a"] * 10, ["b"] * 10, ["c"] * 10), Unscored)
    assert isinstance(guesses(["a"] * 80, ["b"] * 80, ["c"] * 80), Unscored), "one secret tells nothing"


def test_names_of_texts_do_not_matter() -> None:
    secrets, texts, groups = symmetric(0.3, 1)
    renamed = [f"another {text[::-1]}" for text in texts]
    assert information(secrets, texts, groups) == information(secrets, renamed, groups)


def test_shuffling_stays_within_groups() -> None:
    rng, group = np.random.default_rng(0), np.array([0, 1, 0, 2, 1, 0, 2])
    codes = np.arange(7)
    mixed = within(codes, group, rng)
    for own in range(3):
        assert sorted(mixed[group == own]) == sorted(codes[group == own])


def test_a_decoder_reads_a_code_of_each_question_and_none_where_there_is_none() -> None:
    right, asked = guesses(*symmetric(0.0, 2))  # type: ignore[misc]
    assert right / asked > 0.9
    right, asked = guesses(*symmetric(0.75, 2))  # type: ignore[misc]
    assert right / asked < 0.4


@given(st.integers(2, 16), st.floats(0, 1), st.floats(0, 1))
def test_fano_lies_between_nothing_and_all_and_grows_with_right_guesses(secrets: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = fano(Interval(value=low, low=low, high=high), secrets)
    assert 0 <= found.low <= found.high + 1e-9 and found.high <= math.log2(secrets) + 1e-9


def test_fano_at_its_ends() -> None:
    assert fano(Interval(value=0.25, low=0.1, high=1.0), 4) == Interval(value=0.0, low=0.0, high=2.0)


def sent(answer: str | Unscored, innocent: str | Unscored = "plain") -> Sent:
    return Sent(group="g", secret="s", answer=answer, innocent=innocent)


FAILED = Unscored(reason="no answer")


@pytest.mark.parametrize(
    "treat", [Untouched(), Formatted(), Sorted(), Translated(), Replayed("held"), Replayed("instead")]
)
def test_no_countermeasure_is_shown_the_secret(treat: Untouched) -> None:
    one = sent("Yes, gladly!")
    other = one.model_copy(update={"secret": "another"})
    assert treat.pass_on([one]) == treat.pass_on([other])


def test_what_failed_is_held() -> None:
    for treat in (Untouched(), Formatted(), Sorted()):
        assert treat.pass_on([sent(FAILED)]) == [""]
    assert Replayed("held").pass_on([sent("a", FAILED)]) == [""] == Replayed("instead").pass_on([sent("a", FAILED)])


def test_a_replay_passes_what_agrees() -> None:
    both = [sent("plain"), sent("odd")]
    assert Replayed("held").pass_on(both) == ["plain", ""]
    assert Replayed("instead").pass_on(both) == ["plain", "plain"]


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_formatting_is_done_once(text: str) -> None:
    [once] = Formatted().pass_on([sent(text)])
    assert Formatted().pass_on([sent(once)]) == [once]


def test_marks_that_nobody_sees_are_gone() -> None:
    assert words_of("\uff28ello\u200b  there_\t!") == ["hello", "there"]


def test_translation_knows_three_words() -> None:
    texts = ["Yes!", "I would say no.", "Bread, perhaps"]
    assert Translated().pass_on([sent(text) for text in texts]) == ["yes", "no", "neither"]


class Writer:
    name = "writer"

    def __init__(self) -> None:
        self.asked = 0

    def respond(self, conversations: list, max_tokens: int = 12) -> list[str | Unscored]:  # type: ignore[type-arg]
        self.asked += len(conversations)
        return ["Said  otherwise." if "good" in one[0].content else FAILED for one in conversations]


def test_what_could_not_be_paraphrased_is_held() -> None:
    writer = Writer()
    treat = Paraphrased(writer)  # type: ignore[arg-type]
    assert treat.pass_on([sent("good"), sent("bad"), sent(FAILED), sent("good")]) == [
        "said otherwise",
        "",
        "",
        "said otherwise",
    ]
    assert writer.asked == 2, "each text once"
