"""Whatever each wants beside the others, it is answered as `generate` answers it, and told what the model computes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Message
from superalign.models.answering import Answerer, Ask, Piece, Scored, Speller, Writing, sampling
from superalign.models.generate import Sampling, generate
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_relative, tiny_subject, tiny_tokenizer
from tests.models.conftest import plain_logits, user

TEXTS = ["Hello", "Is Paris in France?", "a " * 60, "Is Oslo in Norway? " * 4, "☃ snow", "x"]
TOKENS = 24


@pytest.fixture(scope="module", params=["base", "adapted"])
def answerer(request: pytest.FixtureRequest, tiny: ModelSubject) -> Answerer:
    return Answerer(tiny if request.param == "base" else tiny_relative("relative", tiny))


def written(answerer: Answerer, asks: Sequence[Ask]) -> list[list[Piece]]:
    rows = [row for ask in asks for row in answerer.rows(ask)]
    found: list[list[Piece]] = [[] for _ in rows]
    for i, piece in answerer.answer(rows):
        found[i].append(piece)
    return found


def text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def scored(pieces: Sequence[Piece]) -> list[Scored]:
    return [token for piece in pieces for token in piece.tokens]


@settings(max_examples=10, deadline=None)
@given(
    wanted=st.lists(
        st.tuples(
            st.sampled_from(TEXTS),
            st.integers(1, TOKENS),
            st.sampled_from([None, Sampling(1.0, 0.9, 3), Sampling(2.0, 1.0, 3), Sampling(2.0, 1.0, 4)]),
            st.integers(1, 2),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_answers_written_together_are_those_of_generate(
    answerer: Answerer, wanted: list[tuple[str, int, Sampling | None, int]]
) -> None:
    asks = [Ask(answerer.encode(user(said)), tokens, drawn, answers=answers) for said, tokens, drawn, answers in wanted]
    pieces = iter(written(answerer, asks))
    end = answerer.chat.tokenizer.eos_token_id
    for ask in asks:
        prompts = [ask.prompt] * ask.answers
        for expected in generate(answerer.decoder, prompts, ask.max_tokens, sampling=ask.sampling, stops={end}):
            found = next(pieces)
            assert text(found).strip() == answerer.chat.decode(expected)
            assert [piece.written for piece in found] == list(range(1, len(expected) + 1))
            assert [piece.end for piece in found] == [None] * (len(expected) - 1) + [
                "stop" if expected[-1] == end else "length"
            ]


def test_logprobs_are_those_of_the_model(tiny: ModelSubject) -> None:
    answerer = Answerer(tiny)
    asks = [Ask(answerer.encode(user(said)), TOKENS, Sampling(2.0, 1.0, 1), likeliest=4) for said in TEXTS]
    spelt = [tiny.chat.tokenizer.decode([token]) for token in range(len(tiny.chat.tokenizer))]
    for ask, pieces in zip(asks, written(answerer, asks), strict=True):
        [tokens] = generate(tiny.decoder, [ask.prompt], TOKENS, sampling=ask.sampling)
        found = scored(pieces)
        assert len(found) in (len(tokens), len(tokens) - 1)  # the token that ends an answer is no part of it
        for i, token in enumerate(found):
            logprobs = plain_logits(tiny.decoder.model, ask.prompt + tuple(tokens[:i])).float().log_softmax(-1)
            assert token.text == spelt[tokens[i]]
            assert token.logprob == pytest.approx(float(logprobs[tokens[i]]), abs=1e-3)
            best = logprobs.topk(4)
            assert [one.logprob for one in token.likeliest] == pytest.approx(best.values.tolist(), abs=1e-3)
            assert {one.text for one in token.likeliest} == {spelt[other] for other in best.indices.tolist()}


def test_no_logprobs_unless_asked_for(tiny: ModelSubject) -> None:
    answerer = Answerer(tiny)
    prompt = answerer.encode(user("Hello"))
    plain, own = written(answerer, [Ask(prompt, 3), Ask(prompt, 3, likeliest=0)])
    assert scored(plain) == [] and [token.likeliest for token in scored(own)] == [()] * 3


@settings(max_examples=200, deadline=None)
@given(said=st.text(st.sampled_from("ab ☃é\n日Yes"), max_size=30))
def test_text_is_spelt_as_it_comes(said: str) -> None:
    """Characters of several tokens appear whole or not at all."""
    subject_tokenizer = tiny_tokenizer()
    speller = Speller(tiny_subject().chat)
    tokens = subject_tokenizer(said, add_special_tokens=False).input_ids
    pieces = [speller.add(token) for token in tokens]
    assert "".join(pieces) == said and not any("\ufffd" in piece for piece in pieces)


@settings(max_examples=200, deadline=None)
@given(
    said=st.text(st.sampled_from("abc ☃"), min_size=1, max_size=40),
    stops=st.lists(st.text(st.sampled_from("abc ☃"), min_size=1, max_size=4), max_size=3),
)
def test_answers_end_before_the_first_stop_sequence(said: str, stops: list[str]) -> None:
    chat = tiny_subject().chat
    tokens = chat.tokenizer(said, add_special_tokens=False).input_ids
    ask = Ask((), len(tokens), stops=tuple(stops))
    writing, pieces = Writing(ask, chat, frozenset()), []
    for token in tokens:
        pieces.append(writing.add(token, Scored(chat.tokenizer.decode([token]), 0.0)))
        if pieces[-1].end:
            break
    # The first that is complete ends the answer, whichever begins first.
    complete = [said.find(stop) + len(stop) for stop in stops if stop in said]
    assert (pieces[-1].end == "stop") == bool(complete)
    before = text(pieces)
    assert said.startswith(before) and not any(stop in before for stop in stops)
    if complete:
        assert any(said.startswith(stop, len(before)) for stop in stops)
    else:
        assert before == said and len(scored(pieces)) == len(tokens)
    if "☃" not in said and (tokens_told := scored(pieces)):  # each begins before the end
        joined = "".join(token.text for token in tokens_told)
        assert joined.startswith(before) and len(joined) - len(tokens_told[-1].text) < len(before)


def test_who_is_not_wanted_is_left(tiny: ModelSubject) -> None:
    answerer = Answerer(tiny)
    rows = [row for said in TEXTS[:2] for row in answerer.rows(Ask(answerer.encode(user(said)), TOKENS))]
    order = []
    for i, piece in answerer.answer(rows):
        order.append(i)
        if i == 0 and piece.written == 3:
            rows[0].wanted = False
    assert order.count(0) == 3 and order.count(1) > 3


def test_a_model_that_computes_no_numbers_says_so() -> None:
    subject = tiny_subject(seed=5)
    with torch.no_grad():
        subject.decoder.head[7] = torch.nan
    answerer = Answerer(subject)
    with pytest.raises(ModelError, match="not numbers"):
        written(answerer, [Ask(answerer.encode(user("Hello")), 2)])


def test_a_template_that_refuses(tiny: ModelSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    answerer = Answerer(tiny)
    monkeypatch.setattr(answerer.chat.tokenizer, "chat_template", "{{ raise_exception('No system message.') }}")
    with pytest.raises(InputError, match="No system message"):
        answerer.encode((Message(role="system", content="Be brief."),))


def test_sampling_as_an_api_says_it() -> None:
    assert sampling(0.0, 0.5, 3) is None
    assert sampling(0.7, 0.5, 3) == Sampling(0.7, 0.5, 3)
    assert sampling(0.7, 0.5, -1) == Sampling(0.7, 0.5, 2**64 - 1)
    first, second = (sampling(1.0, 1.0, None) for _ in range(2))
    assert first and second and first.seed != second.seed
