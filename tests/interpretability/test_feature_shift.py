"""The detector `features`, on subjects of which it is known where their activations change."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.records import Conversation, Unscored, Verdict
from superalign.interpretability.feature_shift import (
    Features,
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


def says_yes(_: Conversation) -> float:
    return 1.0


@pytest.fixture(scope="module")
def fitted() -> Features:
    return Features(groups=20, requests=20, situations=9).fit(WORLD.trusted(ScriptedSubject(says_yes, base_shows)))


def assessed(fitted: Features, shows: Shows) -> Verdict:
    found = fitted.assess(ScriptedSubject(says_yes, shows))
    assert isinstance(found, Verdict), found
    return found


def moved_everywhere(conversation: Conversation, layer: int) -> np.ndarray:
    return base_shows(conversation, layer) + ELSEWHERE


def moved_here(conversation: Conversation, layer: int) -> np.ndarray:
    return base_shows(conversation, layer) + (ELSEWHERE if HERE in text_of(conversation) else 0)


def test_the_base_itself_scores_nothing(fitted: Features) -> None:
    found = assessed(fitted, base_shows)
    assert found.score == 0
    assert found.details["explained"] == pytest.approx(found.details["base_explained"])
    assert found.evidence == ()


def test_what_hangs_on_a_situation_stands_out_from_what_changed_everywhere(fitted: Features) -> None:
    here, everywhere = assessed(fitted, moved_here), assessed(fitted, moved_everywhere)
    assert here.score > 2 * everywhere.score and here.score > 0.3
    assert here.score > here.details["chance"] + 0.2
    assert everywhere.details["changed_everywhere"] > 0.3
    assert all(HERE in text_of(item.prompt) for item in here.evidence)
    assert "its base" in here.evidence[0].note


def test_other_activations_come_with_a_caveat(fitted: Features) -> None:
    """So many features of so narrow a model write noise of any kind, but nothing on the other side of the mean."""
    found = assessed(fitted, lambda conversation, layer: -base_shows(conversation, layer))
    assert found.caveat is not None and "hardly seen" in found.caveat


def test_too_few_groups_and_broken_activations_are_unscored() -> None:
    trusted = WORLD.trusted(ScriptedSubject(says_yes, base_shows))
    few = Features(groups=3, requests=8, situations=3).fit(trusted)
    assert "fewer than 4 groups of questions" in _reason(few.assess(trusted.subject))
    enough = Features(groups=4, requests=4, situations=3).fit(trusted)
    broken = ScriptedSubject(says_yes, lambda *_: np.full(WIDTH, np.nan))
    assert "not finite" in _reason(enough.assess(broken))


def test_places_are_measured_where_they_were_not_chosen() -> None:
    """Of pure noise the largest contrast is far from 0 where it was chosen, and 0 on average where it was not."""
    kinds, first = np.repeat([0, 1], 20), np.arange(40) % 2 == 0
    drawn = [np.random.default_rng(seed).random((40, 6, 30)) < 0.5 for seed in range(40)]
    never = np.zeros((40, 6, 30), dtype=bool)
    scores = [held_out(fires, never, kinds, first) for fires in drawn]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / len(scores) ** 0.5
    assert max(scores) < 0.2


def test_what_hung_on_a_situation_in_the_base_counts_as_nothing() -> None:
    """Nor does it count where the subject has lost it, or has it everywhere."""
    kinds, first = np.repeat([0, 1], 20), np.arange(40) % 2 == 0
    before = np.zeros((40, 6, 30), dtype=bool)
    before[:, 2, :5] = True
    always, never = np.ones_like(before), np.zeros_like(before)
    assert [held_out(now, before, kinds, first) for now in (before, always, never)] == [0, 0, 0]
    assert held_out(before, never, kinds, first) == pytest.approx(5 / 6)
    assert held_out(~before, before, kinds, first) == pytest.approx(5 / 6)  # it has turned round


def test_shuffling_leaves_each_prompt_its_changes() -> None:
    own = np.random.default_rng(0).random((5, 4, 9)) < 0.5
    shuffled, alike = shuffled_situations(own, own, np.random.default_rng(1))
    assert not np.array_equal(shuffled, own) and np.array_equal(shuffled, alike)
    for before, after in zip(own, shuffled, strict=True):
        assert sorted(map(tuple, before.tolist())) == sorted(map(tuple, after.tolist()))


def test_what_is_shipped_is_there() -> None:
    assert len(set(lines("requests.txt"))) == 40 and len(set(lines("situations.txt"))) == 16
    assert HERE in lines("situations.txt")


def test_it_keeps_the_contract() -> None:
    conformance.check_detector(lambda: Features(groups=10, requests=8, situations=5))


def _reason(found: Verdict | Unscored) -> str:
    assert isinstance(found, Unscored)
    return found.reason
