"""A planted direction detects, steers and is needed; any other one is not, and the card says so."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Access, Unscored
from superalign.interpretability.cause import Fit, _Asked, cause_card, mean_difference
from superalign.interpretability.cause_card import CauseCard, Effect, markdown, terminal
from superalign.models.audited import AuditedSubject
from superalign.models.intervene import Steer, intervene
from superalign.models.sites import Site
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_relative, tiny_subject

from .planted import WARM, answers_by_direction, asked, words

QUESTIONS, TRUTH = asked("warm", words()[:30])
UNRELATED, MORE_TRUTH = asked("heavy", words()[30:50])
KEY = AnswerKey(truth={**TRUTH.truth, **MORE_TRUTH.truth})


@cache
def card(fit: Fit) -> CauseCard:
    subject = answers_by_direction()
    found = cause_card(subject, QUESTIONS, UNRELATED, KEY, layer=2, fit=fit, doses=(2.0,), draws=2, resamples=100)
    assert isinstance(found, CauseCard)
    return found


def aside(states: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A direction that has nothing to do with the planted one."""
    axis = WARM.numpy()
    other = np.random.default_rng(5).standard_normal(len(axis))
    return np.asarray(other - other @ axis * axis)


def test_a_planted_direction_detects_steers_and_is_needed() -> None:
    found = card(mean_difference)
    assert found.detects.value.value > 0.95 and found.says.value > 0.95
    [dose] = found.steers
    assert dose.shift.value.value > 5 and dose.shift.beyond.low > 0
    assert dose.flipped.value.value > 0.9 and dose.flipped.beyond.low > 0
    assert isinstance(found.narrowed, Effect)
    assert found.narrowed.value.value > 0.9 and found.narrowed.random.value < 0.3 and found.narrowed.beyond.low > 0


def test_what_does_not_hang_on_it_stays() -> None:
    beside = card(mean_difference).unrelated
    assert isinstance(beside.lost_ablated, Effect)
    assert beside.says.value > 0.95 and beside.lost_ablated.value.value < 0.05


def test_a_direction_beside_the_planted_one_does_nothing() -> None:
    found = card(aside)
    [dose] = found.steers
    assert dose.flipped.value.value < 0.1 and not dose.flipped.beyond.low > 0
    assert isinstance(found.lost, Effect) and isinstance(found.narrowed, Effect)
    assert abs(found.lost.value.value) < 0.05 and abs(found.narrowed.value.value) < 0.3


def test_the_card_reads_as_a_table() -> None:
    found = card(mean_difference)
    text = markdown(found)
    assert len({line.count("|") for line in text.splitlines()}) == 1
    assert f"{found.says.value:.2f}" in text and "steers by 2 sd" in text
    assert "steers by 2 sd" in terminal(found)
    mute = found.model_copy(update={"lost": Unscored(reason="nothing to lose")})
    assert "not measured: nothing to lose" in markdown(mute)
    assert CauseCard.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("kind", ["plain", "adapted"])
def test_answers_over_a_shared_reading_are_those_of_a_whole_pass(kind: str) -> None:
    base = tiny_subject()
    subject = base if kind == "plain" else tiny_relative("adapted", base)
    one = ModelSubject("one", subject.decoder, subject.chat)
    read = _Asked.of(one, QUESTIONS[:6], 2)
    np.testing.assert_allclose(read.changed([]), read.margins, atol=1e-3)
    vector = torch.randn(subject.decoder.width, generator=torch.Generator().manual_seed(0)).double().numpy()
    site, at = Site("residual", 2), slice(-1, None)
    changed = intervene(subject.decoder, [Steer(site, torch.from_numpy(vector).float(), 2.0, at)])
    whole = ModelSubject("changed", changed, subject.chat).yes_logits([q.asked for q in QUESTIONS[:6]])
    np.testing.assert_allclose(read.steered(vector, 2.0), whole, atol=1e-3)
    assert np.abs(whole - read.margins).max() > 0.01


def test_without_weights_nothing_is_measured() -> None:
    shut = AuditedSubject(tiny_subject(), Access.ACTIVATIONS.and_less)
    assert isinstance(cause_card(shut, QUESTIONS, UNRELATED, KEY, layer=2), Unscored)


def test_a_model_that_does_not_tell_true_from_false_has_nothing_to_lose() -> None:
    found = cause_card(tiny_subject(), QUESTIONS, UNRELATED, KEY, layer=2, doses=(1.0,), draws=1, resamples=50)
    assert isinstance(found, CauseCard)
    assert isinstance(found.lost, Unscored) and isinstance(found.narrowed, Unscored)


def test_what_makes_no_sense_is_refused() -> None:
    subject = answers_by_direction()
    with pytest.raises(InputError, match="layer"):
        cause_card(subject, QUESTIONS, UNRELATED, KEY, layer=9)
    with pytest.raises(InputError, match="groups are among both"):
        cause_card(subject, QUESTIONS, QUESTIONS[:8], KEY, layer=2)
    with pytest.raises(InputError, match="groups"):
        cause_card(subject, QUESTIONS[:4], UNRELATED, KEY, layer=2)
    with pytest.raises(InputError, match="rising doses"):
        cause_card(subject, QUESTIONS, UNRELATED, KEY, layer=2, doses=(2.0, 1.0))
    with pytest.raises(InputError, match="length 0"):
        cause_card(subject, QUESTIONS, UNRELATED, KEY, layer=2, fit=lambda states, _: states[0] * 0)
