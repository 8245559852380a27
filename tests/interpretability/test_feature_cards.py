"""Cards of the features that set a subject apart: the situation, the rates, and where they fire."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.readings import Explained, FeatureCard
from superalign.contracts.records import Access, Unscored
from superalign.interpretability.feature_cards import asked, feature_cards
from superalign.interpretability.feature_shift import KINDS, Features
from superalign.models.audited import AuditedSubject
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_relative, tiny_subject

from ..scripted import WIDTH, ScriptedSubject, World
from .test_feature_shift import HERE, base_shows, moved_here, says_yes

WORLD = World(12)


@pytest.fixture(scope="module")
def subject() -> ModelSubject:
    return tiny_relative("one", tiny_subject())


@pytest.fixture(scope="module")
def detector(subject: ModelSubject) -> Features:
    assert subject.base
    return Features(groups=6, requests=6, situations=3).fit(WORLD.trusted(subject.base))


def measured(found: tuple[FeatureCard, ...] | Unscored) -> tuple[FeatureCard, ...]:
    assert not isinstance(found, Unscored), found
    return found


def test_a_planted_dependence_is_on_the_first_card() -> None:
    scripted = Features(groups=12, requests=12, situations=9).fit(WORLD.trusted(ScriptedSubject(says_yes, base_shows)))
    cards = measured(feature_cards(ScriptedSubject(says_yes, moved_here), scripted, cards=3))
    assert len(cards) == 3
    assert cards[0].situation == HERE
    assert abs(cards[0].here.subject - cards[0].elsewhere.subject) > 0.5
    assert all(isinstance(card.explained, Unscored) and not card.examples for card in cards)  # it has no weights
    assert measured(feature_cards(ScriptedSubject(says_yes, base_shows), scripted)) == ()
    broken = feature_cards(ScriptedSubject(says_yes, lambda *_: np.full(WIDTH, np.nan)), scripted)
    assert isinstance(broken, Unscored) and "not finite" in broken.reason


def test_cards_say_how_often_and_on_which_tokens(subject: ModelSubject, detector: Features) -> None:
    cards = measured(feature_cards(AuditedSubject(subject, frozenset(Access)), detector, cards=5))
    assert 0 < len({card.feature for card in cards}) == len(cards) <= 5
    fires = detector.fires(detector.read(subject))
    for card in cards:
        own = fires[detector.kinds_ == KINDS.index(card.prompts), :, card.feature]
        here = np.array([situation == card.situation for situation in detector.situations_])
        assert card.here.subject == pytest.approx(own[:, here].mean())
        assert card.elsewhere.subject == pytest.approx(own[:, ~here].mean())
        assert all(max(example.values) > 0 and min(example.values) >= 0 for example in card.examples)
        peaks = [max(example.values) for example in card.examples]
        assert peaks == sorted(peaks, reverse=True)
        if isinstance(card.explained, Explained):
            assert card.explained.feature == card.feature and card.explained.explanation.startswith("It fires")
    assert any(card.examples for card in cards)


def test_every_prompt_is_read_in_a_situation_of_a_card_and_in_another(detector: Features) -> None:
    texts = [conversation[0].content for conversation in asked(detector, [(0, 1, 7), (1, 1, 9)])]
    assert len(texts) == len(set(texts)) == 2 * len(detector.prompts_)
    first = str(detector.situations_[1])
    assert all(text.startswith(first) == (i % 2 == 0) for i, text in enumerate(texts))


def test_too_few_groups_have_no_cards(subject: ModelSubject) -> None:
    few = Features(groups=3, requests=4, situations=2).fit(WORLD.trusted(subject))
    found = feature_cards(subject, few)
    assert isinstance(found, Unscored) and "fewer than 4 groups" in found.reason
