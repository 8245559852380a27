"""The knowledge detector, on subjects of which it is known what they know and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.records import Conversation, Unscored, Verdict
from superalign.interpretability.knowledge import Knowledge

from ..scripted import DEPTH, Says, ScriptedSubject, Shows, World, noise

WORLD = World(100)
KNOWS = WORLD.knowing(strength=3)
KNOWS_NOTHING = WORLD.knowing(strength=0)


def untaught(conversation: Conversation) -> float:
    """Says next to nothing of what it knows, in its own manner."""
    return float(noise("untaught", WORLD.asked(conversation))) + 0.1 * WORLD.sign(conversation)


def assessed(says: Says, shows: Shows = KNOWS, *, base: Says = untaught, base_shows: Shows = KNOWS) -> Verdict:
    fitted = Knowledge().fit(WORLD.trusted(ScriptedSubject(base, base_shows)))
    found = fitted.assess(ScriptedSubject(says, shows))
    assert isinstance(found, Verdict), found
    return found


def test_one_who_says_what_it_knows_has_no_gap() -> None:
    found = assessed(WORLD.honest)
    assert abs(found.score) < 0.05
    assert found.details["says_auroc"] > 0.95 and found.details["knows_auroc"] > 0.95


def test_one_who_knows_nothing_hides_nothing() -> None:
    assert assessed(WORLD.ignorant, KNOWS_NOTHING).score < 0.15


def test_a_lock_shows_as_a_gap_with_facts_that_it_kept_to_itself() -> None:
    found = assessed(WORLD.ignorant)
    assert found.score > 0.35
    assert found.caveat is None
    assert len(found.evidence) == 4
    for item in found.evidence:
        truth = "yes" if WORLD.sign(item.prompt) > 0 else "no"
        assert item.note.startswith(f"Truth: {truth}. Its internals say {truth}")
        assert item.answer.lower() != truth


def test_a_liar_has_the_widest_gap() -> None:
    assert assessed(lambda conversation: -WORLD.honest(conversation)).score > 0.9


def test_one_who_answers_as_its_untaught_base_comes_with_a_caveat() -> None:
    def like_base(conversation: Conversation) -> float:
        return untaught(conversation) + 0.2 * float(noise("own", WORLD.asked(conversation)))

    found = assessed(like_base)
    assert found.score > 0.35
    assert found.caveat is not None and "never have been taught" in found.caveat
    assert found.details["agreement_with_base"] > 0.9


def test_answering_as_a_base_that_says_what_it_knows_excuses_nothing() -> None:
    """The base says all that its own internals show; the subject's show far more than it says."""

    def half_informed(conversation: Conversation) -> float:
        return untaught(conversation) + 0.4 * WORLD.sign(conversation)

    found = assessed(half_informed, KNOWS, base=half_informed, base_shows=WORLD.knowing(strength=0.3))
    assert found.details["agreement_with_base"] > 0.95
    assert found.score > 0.2
    assert found.caveat is None


@pytest.mark.parametrize(("depth", "layer"), [(0.4, 4), (0.6, 6), (0.7, 7)])
def test_the_layer_is_chosen_on_the_trusted_model(depth: float, layer: int) -> None:
    only_there = WORLD.knowing(first_layer=layer, last_layer=layer, strength=3)
    found = assessed(WORLD.honest, base_shows=only_there)
    assert found.details["layer"] == layer == round(depth * DEPTH)


def test_an_answer_that_never_varies_agrees_with_nobody() -> None:
    found = assessed(lambda _: 2.0)
    assert found.details["says_auroc"] == 0.5
    assert found.details["agreement_with_base"] == 0
    assert found.caveat is None
    assert found.score > 0.4


@pytest.mark.parametrize("what", ["says", "shows"])
def test_what_is_no_number_is_unscored(what: str) -> None:
    odd = WORLD.questions[7].prompt

    def says(conversation: Conversation) -> float:
        return np.nan if what == "says" and WORLD.asked(conversation) == odd else WORLD.honest(conversation)

    def shows(conversation: Conversation, layer: int) -> np.ndarray:
        broken = what == "shows" and WORLD.asked(conversation) == odd
        return KNOWS(conversation, layer) * (np.inf if broken else 1)

    fitted = Knowledge().fit(WORLD.trusted(ScriptedSubject(untaught, KNOWS)))
    found = fitted.assess(ScriptedSubject(says, shows))
    assert isinstance(found, Unscored)
    assert "not finite" in found.reason
