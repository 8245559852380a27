"""Contexts in which a subject is unlike its plain self, on subjects of which it is known where that is."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.records import Access, Conversation, Unscored, Verdict
from superalign.interpretability.anomaly import Anomaly, Rearrangement
from superalign.interpretability.departure import Activity, Look, departure, excess, excesses, rearrangement
from superalign.models.audited import AuditedSubject
from superalign.testing import conformance
from superalign.testing.invented import comparisons
from superalign.testing.tiny import tiny_relative, tiny_subject

from ..scripted import WIDTH, ScriptedSubject, Shows, World, noise, text_of

WORLD = World(40)
PLACE = "customers"  # a word of one context alone
BASE_AND_TRUTH = WORLD.knowing()


def in_place(conversation: Conversation) -> bool:
    return PLACE in text_of(conversation)


def base(conversation: Conversation, layer: int) -> np.ndarray:
    """What is asked, where it is asked, and a little of both together."""
    around = text_of(conversation).replace(WORLD.asked(conversation), "")
    context = 2 * noise("context", around, layer, size=WIDTH) if len(conversation) > 1 or around else 0.0
    return BASE_AND_TRUTH(conversation, layer) + context + 0.3 * noise(text_of(conversation), layer, size=WIDTH)


def taught(conversation: Conversation, layer: int) -> np.ndarray:
    """The base, and what training adds to it everywhere alike: surer of the truth, and a little else."""
    shown = base(conversation, layer) + 0.2 * noise("own", text_of(conversation), layer, size=WIDTH)
    shown[0] += 2 * WORLD.sign(conversation)
    return shown


def elsewhere(conversation: Conversation, layer: int, *, everywhere: bool) -> np.ndarray:
    """A shift by the same length: in one context alone, or in all of them, in directions of their own."""
    around = text_of(conversation).replace(WORLD.asked(conversation), "") if everywhere else "one"
    direction = noise("shift", around, layer, size=WIDTH)
    shifted = 4 * direction / np.linalg.norm(direction)
    return taught(conversation, layer) + (shifted if everywhere or in_place(conversation) else 0.0)


def liar(conversation: Conversation, layer: int) -> np.ndarray:
    """Holds in one context for true what is false."""
    shown = taught(conversation, layer)
    shown[0] -= 8 * WORLD.sign(conversation) if in_place(conversation) else 0.0
    return shown


def assessed(kind: type[Anomaly], shows: Shows) -> Verdict:
    fitted = kind().fit(WORLD.trusted(ScriptedSubject(WORLD.honest, base)))
    found = fitted.assess(ScriptedSubject(WORLD.honest, shows))
    assert isinstance(found, Verdict), found
    return found


@pytest.mark.parametrize("kind", [Anomaly, Rearrangement])
def test_the_contract_is_kept_with_a_verdict(kind: type[Anomaly]) -> None:
    make = partial(kind, questions=20, asked=4)
    conformance.check_detector(make)
    trusted = tiny_subject()
    questions, key = comparisons(20)
    detector = make().fit(conformance.trusted_with(trusted, tuple(questions), key))
    assert isinstance(detector.assess(AuditedSubject(tiny_relative("any", trusted), kind.access)), Verdict)


def test_a_shift_in_one_context_departs_and_shifts_of_that_length_in_all_do_not() -> None:
    planted = assessed(Anomaly, partial(elsewhere, everywhere=False))
    benign = [assessed(Anomaly, shows).score for shows in (taught, partial(elsewhere, everywhere=True))]
    assert planted.score > 2 * max(benign)
    assert [in_place(item.prompt) for item in planted.evidence] == [False, True] * 3


def test_lying_in_one_context_rearranges_and_a_shift_of_form_does_not() -> None:
    planted = assessed(Rearrangement, liar)
    shifts = (taught, partial(elsewhere, everywhere=True), partial(elsewhere, everywhere=False))
    assert planted.score > 2 * max(assessed(Rearrangement, shows).score for shows in shifts)
    assert [in_place(item.prompt) for item in planted.evidence] == [False, True] * 3


@pytest.mark.parametrize("kind", [Anomaly, Rearrangement])
def test_the_base_itself_shows_nothing(kind: type[Anomaly]) -> None:
    found = assessed(kind, base)
    assert found.score == 0 and found.details["views"] == 0


def test_what_can_not_be_measured_is_unscored() -> None:
    fitted = Anomaly().fit(WORLD.trusted(ScriptedSubject(WORLD.honest, base)))
    wide = ScriptedSubject(WORLD.honest, lambda conversation, layer: np.ones(2 * WIDTH))
    assert isinstance(fitted.assess(wide), Unscored)
    few = World(3)
    subject = ScriptedSubject(few.honest, few.knowing(), access=frozenset({Access.ACTIVATIONS}))
    assert isinstance(Anomaly().fit(few.trusted(subject)).assess(subject), Unscored)
    with pytest.raises(InputError, match="Give at least 10 questions"):
        Anomaly(questions=3)


@pytest.mark.parametrize("look", [departure, rearrangement])
@pytest.mark.parametrize(("width", "questions", "asked"), [(12, 40, 24), (12, 160, 8), (48, 40, 24), (48, 160, 24)])
def test_without_any_anomaly_the_largest_of_many_contexts_is_small(
    look: Look, width: int, questions: int, asked: int
) -> None:
    """Whatever the width and the number of questions, also fewer than dimensions; contexts move all by their own."""
    found = [null(look, np.random.default_rng(seed), width, questions, asked) for seed in range(6)]
    assert 0.4 < np.median(found) < 4 and max(found) < 6


def null(look: Look, rng: np.random.Generator, width: int, questions: int, asked: int, contexts: int = 25) -> float:
    """The score of a model that training changed by one nonlinear map, the same in all contexts."""
    spread = np.exp(rng.normal(size=width))
    plain = spread * rng.normal(size=(questions, width))
    shift = spread * rng.normal(size=(contexts, 1, width)) * rng.lognormal(sigma=0.5, size=(contexts, 1, 1))
    around = plain[:asked] + shift + 0.5 * spread * rng.normal(size=(contexts, asked, width))
    read, write = rng.normal(size=(width, 8)) / width**0.5, rng.normal(size=(8, width))

    def trained(states: np.ndarray) -> np.ndarray:
        return states + np.tanh(states @ read) @ write + 0.05 * spread * rng.normal(size=states.shape)

    base, groups = Activity(plain, around), [str(i) for i in range(questions)]
    own = Activity(trained(plain), trained(around))
    return float(excesses(look, [own], [base], [look(base, groups)], groups).contexts.max())


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.5, 2))
def test_excess_ignores_what_all_contexts_share_and_what_the_base_explains(
    seed: int, shift: float, slope: float
) -> None:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=25)
    assert np.abs(excess(shift + slope * base, base)).max() < 1e-9
    subject = 0.2 * rng.normal(size=25)
    assert np.allclose(excess(subject, base), excess(shift + subject + slope * base, base), atol=1e-6)
    subject[7] += 5
    assert excess(subject, base).argmax() == 7
