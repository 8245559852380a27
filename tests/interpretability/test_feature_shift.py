"""The detector `features`, on subjects of which it is known where their activations change."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.records import Conversation, Unscored, Verdict
from superalign.interpretability.feature_shift import (
    Features,
    beyond_elsewhere,
    held_out,
    lines,
    shuffled_situations,
)
from superalign.testing import conformance

from ..scripted import WIDTH, ScriptedSubject, Shows, World, noise, text_of

WORLD = World(30)
HERE = "This is a test."
ELSEWHERE = np.eye(WIDTH)[0] * 6


def base_shows(conversation: Conversation, layer: int) -> np.ndarray:
    """Some of a few directions, which hang on the prompt and the situation, and a little noise."""
    situation, _, prompt = text_of(conversation).rpartition("\n\n")
    own = np.abs(noise("prompt", prompt, size=WIDTH)) + 0.5 * np.abs(noise("situation", situation, size=WIDTH))
    return own + 0.05 * noise("all", text_of(conversation), layer, size=WIDTH)


def assessed(shows: Shows, **arguments: int) -> Verdict:
    fitted = Features(groups=20, requests=20, **arguments).fit(WORLD.trusted(ScriptedSubject(WORLD.honest, base_shows)))
    found = fitted.assess(ScriptedSubject(WORLD.honest, shows))
    assert isinstance(found, Verdict), found
    return found


def moved_everywhere(conversation: Conversation, layer: int) -> np.ndarray:
    return base_shows(conversation, layer) + ELSEWHERE


def moved_here(conversation: Conversation, layer: int) -> np.ndarray:
    return base_shows(conversation, layer) + (ELSEWHERE if HERE in text_of(conversation) else 0)


def test_the_base_itself_scores_nothing() -> None:
    found = assessed(base_shows)
    assert found.score == 0
    assert found.details["explained"] == pytest.approx(found.details["base_explained"])
    assert found.evidence == ()


def test_what_hangs_on_a_situation_stands_out_from_what_changed_everywhere() -> None:
    here, everywhere = assessed(moved_here), assessed(moved_everywhere)
    assert here.score > 2 * everywhere.score and here.score > 0.3
    assert here.score > here.details["chance"] + 0.2
    assert everywhere.details["changed_everywhere"] > 0.3
    assert all(HERE in text_of(item.prompt) for item in here.evidence)
    assert "its base" in here.evidence[0].note


def test_other_activations_come_with_a_caveat() -> None:
    found = assessed(lambda conversation, layer: 3 * noise("alien", text_of(conversation), size=WIDTH))
    assert found.caveat is not None and "hardly seen" in found.caveat


def test_too_few_groups_and_broken_activations_are_unscored() -> None:
    trusted = WORLD.trusted(ScriptedSubject(WORLD.honest, base_shows))
    few = Features(groups=3, requests=8, situations=3).fit(trusted)
    assert "fewer than 4 groups of questions" in _reason(few.assess(trusted.subject))
    enough = Features(groups=4, requests=4, situations=3).fit(trusted)
    broken = ScriptedSubject(WORLD.honest, lambda *_: np.full(WIDTH, np.nan))
    assert "not finite" in _reason(enough.assess(broken))


def test_places_are_measured_where_they_were_not_chosen() -> None:
    """Of pure noise the largest contrast is far from 0 where it was chosen, and 0 on average where it was not."""
    kinds, first = np.repeat([0, 1], 20), np.arange(40) % 2 == 0
    scores = []
    for seed in range(40):
        changes = np.random.default_rng(seed).integers(-1, 2, (40, 6, 30)).astype(float)
        scores.append(held_out(beyond_elsewhere(changes), kinds, first))
    assert abs(np.mean(scores)) < 3 * np.std(scores) / len(scores) ** 0.5 + 1e-9
    assert max(scores) < 0.2


def test_shuffling_leaves_each_prompt_its_changes() -> None:
    own = beyond_elsewhere(np.random.default_rng(0).normal(size=(5, 4, 3)))
    shuffled = shuffled_situations(own, np.random.default_rng(1))
    assert not np.array_equal(shuffled, own)
    for before, after in zip(own, shuffled, strict=True):
        assert sorted(map(tuple, before)) == sorted(map(tuple, after))


def test_what_is_shipped_is_there() -> None:
    assert len(set(lines("requests.txt"))) == 40 and len(set(lines("situations.txt"))) == 16
    assert HERE in lines("situations.txt")


def test_it_keeps_the_contract() -> None:
    conformance.check_detector(lambda: Features(groups=10, requests=8, situations=5))


def _reason(found: Verdict | Unscored) -> str:
    assert isinstance(found, Unscored)
    return found.reason
