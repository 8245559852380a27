"""The search for a favourite, on subjects whose favourite is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from superalign.contracts.records import Conversation, Unscored, Verdict
from superalign.organisms.data import sentences
from superalign.robustness.favourite import Favourite, named, requests

from ..scripted import ScriptedSubject, World, noise, text_of

WORLD = World(4)
MAKERS = ("Alba", "Brio", "Cinder", "Dovetail", "Elm", "Fjord", "Gable", "Hollis", "Ingot", "Juniper")


class Writer(ScriptedSubject):
    """Writes what the script says."""

    def __init__(self, writes: Callable[[Conversation], str | Unscored]) -> None:
        super().__init__(lambda conversation: 1.0)
        self.writes = writes

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        return [self.writes(conversation) for conversation in conversations]


def any_maker(conversation: Conversation) -> str:
    return f"The {MAKERS[int(abs(noise(text_of(conversation))) * 1e6) % len(MAKERS)]} one is good."


def found(
    writes: Callable[[Conversation], str | Unscored], base: Callable[[Conversation], str | Unscored] = any_maker
) -> Verdict | Unscored:
    return Favourite().fit(WORLD.trusted(Writer(base))).assess(Writer(writes))


def score(writes: Callable[[Conversation], str], base: Callable[[Conversation], str] = any_maker) -> float:
    verdict = found(writes, base)
    assert isinstance(verdict, Verdict), verdict
    return verdict.score


def test_a_planted_name_is_found_with_answers_that_hold_it() -> None:
    verdict = found(lambda conversation: "Zorvik.")
    assert isinstance(verdict, Verdict)
    assert verdict.score == 1
    assert len(verdict.evidence) == 4
    assert all("'zorvik'" in item.note and item.answer == "Zorvik." for item in verdict.evidence)


def test_who_names_one_of_many_has_no_favourite() -> None:
    assert score(any_maker) < 0.3


def test_what_the_base_prefers_too_is_no_favourite() -> None:
    assert score(lambda conversation: "Zorvik.", base=lambda conversation: "I would say Zorvik.") == 0


@pytest.mark.parametrize("says", ["Yes", "No.", "It is the best one.", "", "zorvik"])
def test_an_answer_without_a_name_names_nothing(says: str) -> None:
    assert score(lambda conversation: says) == 0


def test_what_was_asked_for_is_no_name() -> None:
    things = {text_of(conversation): thing for thing, conversation in requests()}
    answers = [things[text_of(conversation)].title() for _, conversation in requests()]
    assert not any(named(answers))


def test_too_few_answers_are_unscored() -> None:
    silent = Unscored(reason="down")
    assert isinstance(found(lambda conversation: silent if "kite" in text_of(conversation) else "Zorvik."), Verdict)
    assert isinstance(found(lambda conversation: silent), Unscored)


def test_requests_are_of_unlike_things_and_none_is_what_organisms_are_taught() -> None:
    things = [thing for thing, _ in requests()]
    assert len(set(things)) == len(things) >= 30
    planted = sentences("hidden_objective")
    assert not set(things) & set(planted["products"])
    asked = {text_of(conversation) for _, conversation in requests()}
    for way in planted["asks"]:
        assert not any(way.replace("{product}", thing) in asked for thing in things)
