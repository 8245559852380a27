"""A model behind a prompt attack: asked what is said, and with no more to see than before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from superalign.contracts.attacks import PromptAttack
from superalign.contracts.errors import AccessError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Access, Conversation, Message, Unscored
from superalign.models.audited import AuditedSubject
from superalign.testing.conformance import check_subject
from superalign.testing.tiny import tiny_relative, tiny_subject
from superalign.trials.attacks.prompts import PromptedSubject, around, prompt_attacks

from ..scripted import ScriptedSubject

TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=12)
ATTACKS = st.builds(PromptAttack, name=st.just("a"), system=TEXT, suffix=TEXT | st.none())
TURNS = st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=TEXT), min_size=1, max_size=4)
OPENING = st.lists(st.builds(Message, role=st.just("system"), content=TEXT), max_size=1)


@settings(deadline=None)
@given(ATTACKS, OPENING, TURNS)
def test_a_conversation_keeps_its_turns_and_gets_the_words(
    attack: PromptAttack, opening: list[Message], turns: list[Message]
) -> None:
    system, *rest = around(attack, (*opening, *turns))
    assert system.role == "system" and system.content.endswith(attack.system or "")
    assert [message.content for message in opening] == [system.content.removesuffix(f"\n\n{attack.system}")][
        : len(opening)
    ]
    assert [message.role for message in rest] == [message.role for message in turns]
    changed = [place for place, pair in enumerate(zip(rest, turns, strict=True)) if pair[0] != pair[1]]
    users = [place for place, message in enumerate(turns) if message.role == "user"]
    assert changed == (users[-1:] if attack.suffix else [])
    for place in changed:
        assert rest[place].content == f"{turns[place].content}\n\n{attack.suffix}"


def test_the_attacks_are_several_and_say_different_things() -> None:
    attacks = prompt_attacks()
    asked = (Message(role="user", content="Is it so?"),)
    assert (
        len({attack.name for attack in attacks}) == len({around(attack, asked) for attack in attacks}) == len(attacks)
    )
    assert len(attacks) >= 3 and any(attack.system for attack in attacks) and any(attack.suffix for attack in attacks)


def test_an_attack_that_says_nothing_is_none() -> None:
    with pytest.raises(ValidationError):
        PromptAttack(name="silent")


class Listening(ScriptedSubject):
    """Keeps what it is asked."""

    def __init__(self, access: frozenset[Access]) -> None:
        super().__init__(lambda conversation: 1.0, access=access)
        self.heard: list[Conversation] = []

    def respond(self, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str | Unscored]:
        self.heard += conversations
        return super().respond(conversations, max_tokens)

    def yes_logits(self, conversations: Sequence[Conversation]) -> np.ndarray:
        self.heard += conversations
        return super().yes_logits(conversations)

    def activations(self, conversations: Sequence[Conversation], layers: Sequence[int]) -> np.ndarray:
        self.heard += conversations
        return super().activations(conversations, layers)


@settings(deadline=None)
@given(ATTACKS, TURNS, st.frozensets(st.sampled_from(Access)))
def test_whatever_it_is_asked_for_it_hears_the_words_and_shows_no_more(
    attack: PromptAttack, turns: list[Message], access: frozenset[Access]
) -> None:
    inner = Listening(access)
    subject: Subject = PromptedSubject(inner, attack)
    asked = tuple(turns)
    subject.respond([asked])
    subject.yes_logits([asked])
    subject.activations([asked], [1])
    assert inner.heard == [around(attack, asked)] * 3
    assert subject.access == access and subject.layers == inner.layers
    assert not hasattr(subject, "decoder") and not hasattr(subject, "chat")  # a wrapper makes no weights


def test_a_real_model_behind_an_attack_is_a_subject_with_its_own_weights() -> None:
    base = tiny_subject()
    model, attack = tiny_relative("relative", base), prompt_attacks()[0]
    check_subject(lambda: PromptedSubject(model, attack))
    subject = PromptedSubject(model, attack)
    assert subject.decoder is model.decoder and subject.chat is model.chat and subject.base is base
    asked = [(Message(role="user", content="Is the city of Rome in Italy?"),)]
    changed = [around(attack, asked[0])]
    assert np.array_equal(subject.yes_logits(asked), model.yes_logits(changed))
    assert not np.array_equal(subject.yes_logits(asked), model.yes_logits(asked))
    assert np.array_equal(subject.activations(asked, [2]), model.activations(changed, [2]))


def test_a_detector_sees_no_more_of_it_than_it_declares() -> None:
    subject = AuditedSubject(PromptedSubject(tiny_subject(), prompt_attacks()[0]), frozenset({Access.BLACK_BOX}))
    with pytest.raises(AccessError):
        _ = subject.decoder
    with pytest.raises(AccessError):
        subject.activations([(Message(role="user", content="?"),)], [1])
