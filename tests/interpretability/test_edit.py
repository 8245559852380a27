"""An edit makes its fact in whatever words, leaves its neighbours, and can be saved and opened as a delta."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Access, Unscored
from superalign.interpretability.edit import Edited, KeyCovariance, edit, key_covariance
from superalign.interpretability.edit_scores import (
    EditRequest,
    EditScore,
    Share,
    city_edits,
    city_texts,
    score_edit,
    together,
)
from superalign.interpretability.facts import Fact, lay_out
from superalign.models.audited import AuditedSubject
from superalign.models.train import trained_decoder
from superalign.tasks.cities import cities
from superalign.testing.tiny import tiny_relative, tiny_subject

from .planted import HOMES, MEMORY, PROMPTS, fact, home, knows_homes, names, texts

NAME = names()[0]
ELSEWHERE = next(other for other in HOMES if other != home(NAME))
REQUEST = EditRequest(
    fact=fact(NAME, answer=ELSEWHERE),
    true_answer=home(NAME),
    paraphrases=PROMPTS[1:],
    neighbours=tuple(name for name in names()[1:] if home(name) == home(NAME)),
)


@cache
def covariance() -> KeyCovariance:
    return key_covariance(knows_homes(), texts(), MEMORY)


@cache
def edited() -> Edited:
    found = edit(knows_homes(), REQUEST.fact, covariance())
    assert isinstance(found, Edited)
    return found


def test_an_edit_makes_its_fact_and_leaves_the_neighbourhood() -> None:
    found = score_edit(knows_homes(), edited().subject, REQUEST)
    assert (found.efficacy.before, found.paraphrase.before, found.neighbourhood.before) == (0, 0, 1)
    assert (found.efficacy.after, found.paraphrase.after, found.neighbourhood.after) == (1, 1, 1)
    assert found.efficacy.gained > 1 and found.paraphrase.gained > 1 and abs(found.neighbourhood.gained) < 0.1
    card = edited().card
    assert card.before < 0.05 and card.after > 0.7 and card.missed < 1e-3


def test_it_changes_one_matrix_by_rank_one() -> None:
    [(name, tensor)] = edited().tensors.items()
    own = knows_homes().decoder.model.get_parameter(name)
    assert name.endswith(f"layers.{MEMORY - 1}.mlp.down_proj.weight")
    sizes = torch.linalg.svdvals(tensor - own)
    assert sizes[1] < 1e-4 * sizes[0]


def test_it_opens_again_as_a_delta(tmp_path: Path) -> None:
    edited().save(tmp_path / "edit")
    again = trained_decoder(knows_homes().decoder, tmp_path / "edit")
    tokens = [lay_out(knows_homes().chat, REQUEST.fact).tokens]
    assert torch.equal(again.final(tokens), edited().subject.decoder.final(tokens))
    assert not torch.equal(again.final(tokens), knows_homes().decoder.final(tokens))


def test_the_covariance_is_that_of_the_keys_and_can_be_solved() -> None:
    found = covariance()
    assert torch.linalg.eigvalsh(found.matrix).min() > 0
    spectrum = torch.linalg.eigvalsh(found.matrix.double())
    assert found.condition == pytest.approx(float(spectrum[-1] / spectrum[0]), rel=0.01)
    assert 0 < found.axes < len(found.matrix) < found.tokens
    wider = key_covariance(knows_homes(), texts()[:20], MEMORY, ridge=1.0)
    assert wider.condition < found.condition


def test_the_card_tells_what_rounding_took() -> None:
    subject = tiny_subject(dtype=torch.bfloat16)
    found = edit(subject, REQUEST.fact, key_covariance(subject, texts()[:12], MEMORY), steps=3)
    assert isinstance(found, Edited)
    assert 1e-4 < found.card.missed < 0.5
    assert found.tensors.popitem()[1].dtype == torch.bfloat16


def test_what_can_not_be_edited_says_so() -> None:
    shut = AuditedSubject(tiny_subject(), Access.ACTIVATIONS.and_less)
    assert isinstance(edit(shut, REQUEST.fact, covariance()), Unscored)
    adapted = tiny_relative("adapted", knows_homes())
    with pytest.raises(ModelError, match="adapters"):
        edit(adapted, REQUEST.fact, covariance())
    with pytest.raises(InputError, match="no layer 9"):
        key_covariance(knows_homes(), texts()[:2], 9)
    with pytest.raises(InputError, match="ridge"):
        key_covariance(knows_homes(), texts()[:2], MEMORY, ridge=0)
    with pytest.raises(InputError, match="another model"):
        edit(tiny_subject(width=32), REQUEST.fact, covariance())
    with pytest.raises(InputError, match="no steps"):
        edit(knows_homes(), REQUEST.fact, covariance(), steps=0)


@settings(deadline=None, max_examples=50)
@given(shares=st.lists(st.integers(0, 10).map(lambda right: right / 10), min_size=1, max_size=30))
def test_intervals_count_edits_and_never_close_on_success(shares: list[float]) -> None:
    def score(share: float) -> EditScore:
        one = Share(before=0, after=share, gained=0)
        return EditScore(efficacy=one, paraphrase=one, neighbourhood=one)

    found = together([score(share) for share in shares])
    assert found.efficacy.low <= np.mean(shares) + 1e-9 and np.mean(shares) - 1e-9 <= found.efficacy.high
    assert found.efficacy.high - found.efficacy.low > 0.05
    assert found.score == pytest.approx(np.mean(shares), abs=1e-6)
    assert found.neighbourhood_before.value == 0


def test_no_edits_have_no_score() -> None:
    with pytest.raises(InputError, match="no edits"):
        together([])


def test_cities_are_moved_among_their_like() -> None:
    found = city_edits(5)
    country = {city.name: city.country for city in cities()}
    assert found == city_edits(5) != city_edits(5, seed=1)
    for request in found:
        assert country[request.fact.subject] == request.true_answer != request.fact.answer
        assert {country[name] for name in request.neighbours} == {request.true_answer}
        assert request.fact.subject not in request.neighbours and len(request.neighbours) == 10
    assert len(city_texts(3)) == 12
    with pytest.raises(InputError, match="only"):
        city_edits(10_000)


@settings(deadline=None, max_examples=30)
@given(name=st.sampled_from([city.name for city in cities()[:500]]), before=st.sampled_from(["", "Hello! ", "So: "]))
def test_the_subject_is_found_among_the_tokens(name: str, before: str) -> None:
    chat = tiny_subject().chat
    laid = lay_out(chat, Fact(prompt=f"Not {name}s: where is {{}}?", subject=name, answer="here"), before)
    whole = chat.tokenizer.decode(laid.tokens)
    named = chat.tokenizer.decode(laid.tokens[laid.first : laid.last + 1])
    assert name in named and len(named) <= len(name) + 2
    assert whole.index(f"where is {name}") + 9 >= len(chat.tokenizer.decode(laid.tokens[: laid.first]))


@pytest.mark.parametrize(("prompt", "name"), [("Where is it?", "Rome"), ("{} and {}?", "Rome"), ("Where is {}?", " ")])
def test_a_fact_has_one_place_for_a_subject(prompt: str, name: str) -> None:
    with pytest.raises(InputError, match="no fact"):
        Fact(prompt=prompt, subject=name, answer="Italy")
