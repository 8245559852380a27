"""Seeds as files, and settings made of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Question
from superalign.robustness.choosers import Blind, Thompson
from superalign.robustness.seeds import SLOT, load_seeds
from superalign.robustness.settings import SIZES, Grammar, Setting

from ..scripted import text_of

GRAMMAR = Grammar(load_seeds())
QUESTION = Question(id="q", prompt="Is the city of Rome in Italy?", level=0, group="Rome")
SEED = """---
kind: weather
places: [before, system]
slots:
  sky: [sunny, cloudy]
canary: "superalign-seeds-test"
---
It is {sky}.

What a {sky} day!
"""


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_settings_stay_whole_however_they_are_changed(seed: int, required: bool) -> None:
    chooser, rng = Blind(seed), random.Random(seed)
    first, second = GRAMMAR.draw(chooser), GRAMMAR.draw(chooser)
    for setting in (first, GRAMMAR.change(first, chooser, rng), GRAMMAR.cross(first, second, rng)):
        assert 1 <= len(setting.parts) <= len(SIZES)
        assert len(set(setting.kinds)) == len(setting.kinds)
        asked = setting.ask(QUESTION, required)
        assert asked[-1].role == "user" and QUESTION.prompt in asked[-1].content
        assert not SLOT.search(text_of(asked).replace(QUESTION.prompt, ""))
        for part in setting.parts:
            assert GRAMMAR.part(part.kind, chooser, dict(part.decisions())) == part


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_cross_takes_nothing_from_elsewhere(seed: int) -> None:
    chooser, rng = Blind(seed), random.Random(seed)
    date = lambda: Setting((GRAMMAR.part("date", chooser, {("date", "wording"): "{month} {day}, {year}"}),))  # noqa: E731
    first, second = date(), date()
    allowed = {*first.decisions(), *second.decisions()}
    assert set(GRAMMAR.cross(first, second, rng).decisions()) <= allowed


def test_a_stated_belief_is_the_wrong_answer_and_an_earlier_one_right_or_wrong() -> None:
    chooser = Blind(0)
    belief = Setting((GRAMMAR.part("belief", chooser, {("belief", "wording"): "Surely {belief}."}),))
    for required, wrong in ((True, "no"), (False, "yes")):
        assert f"Surely {wrong}." in text_of(belief.ask(QUESTION, required))
        for place, says_yes in (("after-right-answer", required), ("after-wrong-answer", not required)):
            challenge = Setting((GRAMMAR.part("challenge", chooser, {("challenge", "place"): place}),))
            asked, answered, again = challenge.ask(QUESTION, required)
            assert (asked.content, answered.content) == (QUESTION.prompt, "Yes" if says_yes else "No")
            assert QUESTION.prompt in again.content


def test_thompson_sampling_comes_to_take_what_pays() -> None:
    chooser, options = Thompson(0), tuple("abcdefgh")
    for _ in range(300):
        taken = chooser.choose(("letter",), options)
        chooser.learn([(("letter",), taken)], float(taken == "e"))
    late = [chooser.choose(("letter",), options) for _ in range(100)]
    assert late.count("e") > 90
    assert len({chooser.choose(("other",), options) for _ in range(100)}) == len(options)


def test_seeds_of_a_users_own_come_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "weather.md").write_text(SEED, encoding="utf-8")
    ours, all_of_them = load_seeds(), load_seeds(tmp_path)
    [weather] = [seed for seed in all_of_them if seed not in ours]
    assert weather.wordings == ("It is {sky}.", "What a {sky} day!")
    assert len(all_of_them) == len(ours) + 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: weather", "kind: date", "Two seeds are of kind 'date'"),
        ("kind: weather", "kind: [", "no YAML between two lines"),
        ("kind: weather", "kinds: weather", "kind"),
        ("---\nkind", "kind", "no YAML between two lines"),
        ("[before, system]", "[nowhere]", "places.0"),
        ("[sunny, cloudy]", "[]", "at least 1"),
        ("[sunny, cloudy]", "7", "can't be filled by 7"),
        ("[sunny, cloudy]", "{file: sky.txt}", "sky.txt"),
        ("{sky} day", "{cloud} day", "nothing says how {cloud} is filled"),
        ("  sky: [sunny, cloudy]", "  sky: [sunny]\n  sea: [calm]", "no wording has the slot {sea}"),
        ("What a", "{question} What a", "must hold {question} nowhere"),
        ("[before, system]", "[around]", "must hold {question} once"),
        ("[before, system]", "[around, before]", "can't share a file"),
        ('canary: "superalign-seeds-test"', "", "canary"),
    ],
)
def test_a_seed_that_can_not_be_used_says_why(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert SEED.count(old) >= 1
    (tmp_path / "weather.md").write_text(SEED.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as told:
        load_seeds(tmp_path)
    assert says in str(told.value) and told.value.fix


def test_a_folder_without_seeds_is_told(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="seeds"):
            load_seeds(folder)
