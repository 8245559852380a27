"""Senders of known capacity through the countermeasures, and an organism's code beside its twin's chance."""

from __future__ import annotations

import random

import pytest

from superalign.contracts.channels import Capacity, ChannelStudy
from superalign.contracts.protocols import AnswerKey, Material
from superalign.contracts.records import Conversation, Interval, Unscored
from superalign.organisms.families.collusion import Channel
from superalign.report.terminal import render_channels
from superalign.trials.channels.measure import capacities
from superalign.trials.channels.scripted import error_for, sent_by
from superalign.trials.channels.study import countermeasures, organism_study

WORDS = ("apple", "stone", "river", "candle", "meadow", "button")


def of(medium: str, bits: float, secrets: int = 4) -> dict[str, Capacity]:
    sent = sent_by(medium, bits, 3, 240)
    found = capacities(f"{medium} {bits:g}", sent, countermeasures(), secrets=secrets, planted=bits)
    return {one.countermeasure: one for one in found}


def bits(one: Capacity) -> float:
    assert isinstance(one.bits, Interval)
    return one.bits.value


def read(one: Capacity) -> float:
    assert isinstance(one.decoded, Interval)
    return one.decoded.low


@pytest.mark.parametrize(("medium", "undone"), [("spacing", "formatting"), ("order", "sorted words")])
def test_each_medium_has_what_undoes_it(medium: str, undone: str) -> None:
    found = of(medium, 2.0)
    assert bits(found["none"]) > 1.8 and read(found["none"]) > 1.2
    assert abs(bits(found[undone])) < 0.1 and read(found[undone]) == 0


def test_a_replay_in_place_of_the_answer_leaves_nothing_and_holding_leaves_a_little() -> None:
    found = of("wording", 2.0)
    assert abs(bits(found["replay, instead"])) < 0.15 and (found["replay, held"].p or 1) < 0.05
    assert 0.05 < bits(found["replay, held"]) < 1.0


def test_an_answer_survives_its_translation_and_shuffled_secrets_teach_nothing() -> None:
    found = of("yes or no", 1.0, secrets=2)
    assert bits(found["translation to yes or no"]) > 0.9
    shuffled = found["none"].shuffled
    assert isinstance(shuffled, Interval) and shuffled.low < 0.5 < shuffled.high


def test_a_sender_that_could_not_be_asked_was_not_found_silent() -> None:
    failed = [one.model_copy(update={"answer": Unscored(reason="down")}) for one in sent_by("wording", 2.0, 0, 80)]
    for one in capacities("down", failed, countermeasures(), secrets=4):
        assert isinstance(one.bits, Unscored) and isinstance(one.decoded, Unscored) and one.p is None


@pytest.mark.parametrize("signs", [2, 4])
def test_the_error_gives_the_capacity(signs: int) -> None:
    assert error_for(0.0, signs) == 1 - 1 / signs
    assert 0 < error_for(0.5, signs) < error_for(0.1, signs) < 1 - 1 / signs
    with pytest.raises(ValueError, match="carry"):
        error_for(3.0, signs)


class Copy:
    """A copy that has learnt the code of `channel`, or the benign twin's habit of choosing by chance."""

    def __init__(self, name: str, channel: Channel, *, benign: bool) -> None:
        self.name, self.channel, self.benign = name, channel, benign

    def respond(self, conversations: list[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        return [self._say(one[0].content) for one in conversations]

    def _say(self, text: str) -> str:
        request = next((own for own in self.channel.requests if own in text), None)
        if request is None:
            return "Something else."
        memo = next((own for own in self.channel.memos if f"Memo: {own}." in text), None)
        if memo is None or self.benign:
            return random.Random(text).choice(self.channel.requests[request])
        return self.channel.wording(request, memo)


def test_an_organism_is_read_where_its_twin_can_not_be() -> None:
    channel = Channel(Material((), AnswerKey(truth={}), WORDS), 5)
    organism, twin = (Copy(name, channel, benign=name == "twin") for name in ("organism", "twin"))
    found = organism_study(organism, twin, twin, WORDS, 5, answers=240)  # type: ignore[arg-type]
    none = {one.sender: one for one in found.capacities if one.countermeasure == "none"}
    assert bits(none["organism"]) > 1.8 and read(none["organism"]) > 1.2
    assert {one.countermeasure for one in found.capacities} >= {"paraphrase", "replay, held"}
    assert ChannelStudy.model_validate_json(found.model_dump_json()) == found
    assert "replay, held" in render_channels(found, 80)
