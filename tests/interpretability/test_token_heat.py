"""The truth probe at every token: the last number is the probe's own, and the truth does not choose what is shown."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.readings import TokenHeat
from superalign.contracts.records import Access, Unscored
from superalign.interpretability.knowledge import Knowledge
from superalign.interpretability.probes import out_of_fold
from superalign.interpretability.token_heat import furthest, token_heat
from superalign.models.audited import AuditedSubject
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_relative, tiny_subject

from ..scripted import ScriptedSubject, World

WORLD = World(15)


@pytest.fixture(scope="module")
def subject() -> ModelSubject:
    return tiny_relative("one", tiny_subject())


@pytest.fixture(scope="module")
def knowledge(subject: ModelSubject) -> Knowledge:
    assert subject.base
    return Knowledge().fit(WORLD.trusted(subject.base))


def measured(found: tuple[TokenHeat, ...] | Unscored) -> tuple[TokenHeat, ...]:
    assert not isinstance(found, Unscored), found
    return found


def test_the_last_number_is_what_a_probe_of_other_groups_reads(subject: ModelSubject, knowledge: Knowledge) -> None:
    found = measured(token_heat(AuditedSubject(subject, frozenset(Access)), knowledge))
    asked = [question.asked for question in knowledge.questions_]
    known = out_of_fold(subject.activations(asked, [knowledge.layer_])[:, 0], knowledge.truth_, knowledge.groups_)
    said = subject.yes_logits(asked)
    said -= np.median(said)
    texts = ["".join(map(subject.chat.tokenizer.decode, subject.chat.encode(each))) for each in asked]
    assert [heat.differs for heat in found] == [True] * 3 + [False] * 3
    for heat in found:
        place = texts.index("".join(heat.tokens))
        assert heat.known == pytest.approx(known[place], abs=1e-3)
        assert heat.said == pytest.approx(said[place], abs=1e-4)
        assert heat.differs == (heat.known * heat.said < 0)
        assert heat.truth == knowledge.truth_[place] and heat.layer == knowledge.layer_
        assert len(heat.tokens) == len(subject.chat.encode(asked[place])) and len(set(heat.values)) > 5


def test_those_furthest_apart_come_first_and_as_many_that_agree() -> None:
    known, said = np.array([1, 2, -3, 1, -1, 0.5]), np.array([-1, -2, -1, 4, 0.1, 0])
    assert furthest(known, said, 2) == [1, 0, 3, 2]
    assert furthest(known, said, 9) == [1, 0, 4, 3, 2]
    assert furthest(known, np.zeros(6), 3) == []


def test_without_weights_no_token_is_seen(subject: ModelSubject, knowledge: Knowledge) -> None:
    for shown in (AuditedSubject(subject, Access.ACTIVATIONS.and_less), ScriptedSubject(WORLD.honest)):
        found = token_heat(shown, knowledge)
        assert isinstance(found, Unscored) and "weights" in found.reason


def test_answers_that_do_not_vary_are_unscored(subject: ModelSubject, knowledge: Knowledge) -> None:
    mute = ModelSubject("mute", subject.decoder, subject.chat)
    mute.margins = lambda states: np.zeros(len(states))  # type: ignore[method-assign]
    found = token_heat(mute, knowledge)
    assert isinstance(found, Unscored) and "do not vary" in found.reason


def test_facts_that_no_probe_can_be_fitted_to_are_unscored(subject: ModelSubject) -> None:
    few = Knowledge(groups=3).fit(WORLD.trusted(subject))
    found = token_heat(subject, few)
    assert isinstance(found, Unscored) and "groups" in found.reason
