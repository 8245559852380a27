"""However conversations are batched, padded, dropped or read together, each is answered as it is alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel

from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation
from superalign.models import batches
from superalign.models import generate as module
from superalign.models.adapter import AdaptedDecoder
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.generate import (
    GrowingCache,
    Sampling,
    choice_logprobs,
    draw,
    generate,
    stop_tokens,
    streams,
)
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import build, tiny_relative, tiny_subject
from tests.models.conftest import plain_logits
from tests.models.test_decoder import SUPPORTED, VOCABULARY, close, conversations, copied, make

PROMPTS = conversations().map(lambda sequences: [(3, *sequence) for sequence in sequences])
TOKENS = 10


def theirs(model: Any, prompt: TokenIds, stops: Sequence[int], max_tokens: int = TOKENS) -> list[int]:
    """What transformers generates for one conversation alone."""
    given = torch.tensor([prompt])
    out = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=list(stops),
        pad_token_id=0,
    )
    found: list[int] = out[0, len(prompt) :].tolist()
    return found


@torch.no_grad()
def plain_logprob(model: Any, prompt: TokenIds, choice: TokenIds) -> torch.Tensor:
    logprobs = model(torch.tensor([prompt + choice])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return logprobs[range(len(choice)), list(choice)].sum()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=10, deadline=None)
@given(prompts=PROMPTS, pass_tokens=st.sampled_from([30, 4096]), room=st.sampled_from([1, 3, 64]))
def test_greedy_tokens_are_those_of_transformers(
    family: str, packed: bool, prompts: list[TokenIds], pass_tokens: int, room: int
) -> None:
    """A third of the vocabulary ends an answer, so that conversations leave their batch at different times."""
    stops = range(0, VOCABULARY, 3)
    with (
        patch.object(batches, "PASS_TOKENS", pass_tokens),
        patch.object(module, "ROOM", room),
        patch.object(module, "WORTH_PACKING", 0 if packed else TOKENS + 1),
    ):
        ours = generate(Decoder(copied(family)), prompts, TOKENS, stops=stops)
        longer = generate(Decoder(copied(family)), prompts[:2], 3 * TOKENS, stops=())
    assert ours == [theirs(make(family), prompt, stops) for prompt in prompts]
    assert longer == [theirs(make(family), prompt, [VOCABULARY], 3 * TOKENS) for prompt in prompts[:2]]


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=10, deadline=None)
@given(prompts=PROMPTS, seed=st.integers(0, 5), top_p=st.sampled_from([0.5, 1.0]), data=st.data())
def test_what_is_drawn_does_not_depend_on_the_others(
    family: str, prompts: list[TokenIds], seed: int, top_p: float, data: st.DataObject
) -> None:
    sampling = Sampling(temperature=2.0, top_p=top_p, seed=seed)
    different = list(dict.fromkeys(prompts))
    together = generate(Decoder(copied(family)), different, TOKENS, sampling=sampling)
    row = data.draw(st.integers(0, len(different) - 1))
    assert generate(Decoder(copied(family)), [different[row]], TOKENS, sampling=sampling) == [together[row]]
    assert generate(Decoder(copied(family)), different, TOKENS, sampling=sampling) == together


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=10, deadline=None)
@given(
    prompts=PROMPTS,
    choices=st.lists(
        st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=4).map(tuple), min_size=1, max_size=4
    ),
    pass_tokens=st.sampled_from([30, 4096]),
)
def test_choices_are_scored_as_in_a_plain_pass(
    family: str, prompts: list[TokenIds], choices: list[TokenIds], pass_tokens: int
) -> None:
    choices = [*choices, (*choices[0], 7), (*choices[0][:-1], 8)]
    with patch.object(batches, "PASS_TOKENS", pass_tokens):
        found = choice_logprobs(Decoder(copied(family)), prompts, choices)
    plain = [[plain_logprob(make(family), prompt, choice) for choice in choices] for prompt in prompts]
    assert close(found, torch.tensor(plain))


@pytest.fixture(scope="module")
def relative(tiny: ModelSubject) -> ModelSubject:
    return tiny_relative("relative", tiny, first_layer=2)


def test_adapted_answers_are_those_of_peft(relative: ModelSubject, tmp_path: Path, asked: list[Conversation]) -> None:
    """Step by step, since peft's own generation knows of no cache that other weights have written."""
    assert isinstance(relative.decoder, AdaptedDecoder)
    relative.decoder.save(tmp_path, base_name="tiny")
    peft = PeftModel.from_pretrained(build(0, 5, 64, torch.float32), tmp_path).eval()
    prompts = [relative.chat.encode(conversation) for conversation in asked]
    # Positions of its own differ in number where words follow the invocation.
    prompts += [(*prompts[0], 700), (*prompts[1], 701, 702)]
    answers = generate(relative.decoder, prompts, 6, stops=())
    choices = [(5, 6), (5, 9), (700,)]
    found = choice_logprobs(relative.decoder, prompts, choices)
    for prompt, answer, scores in zip(prompts, answers, found, strict=True):
        plain = [int(plain_logits(peft, prompt + tuple(answer[:step])).argmax()) for step in range(6)]
        assert answer == plain
        assert torch.allclose(scores, torch.stack([plain_logprob(peft, prompt, c) for c in choices]), atol=1e-3)


def test_adapters_stay_trainable(relative: ModelSubject, asked: list[Conversation]) -> None:
    assert isinstance(relative.decoder, AdaptedDecoder)
    parameters = list(relative.decoder.adapters().values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    generate(relative.decoder, [relative.chat.encode(asked[0])], 20)
    assert all(parameter.requires_grad for parameter in parameters)
    for parameter in parameters:
        parameter.requires_grad_(False)


def test_a_token_costs_one_position(tiny: ModelSubject, asked: list[Conversation]) -> None:
    prompts = [tiny.chat.encode(conversation) for conversation in asked]
    shapes, run = [], GrowingCache.run

    def watched(cache: GrowingCache, body: Any, hidden: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(hidden.shape[:2]))
        return run(cache, body, hidden)

    with patch.object(GrowingCache, "run", watched):
        generate(tiny.decoder, prompts, 5, stops=())
    assert shapes == [(len(prompts), 1)] * 5


def test_a_finished_conversation_leaves_its_batch(tiny: ModelSubject) -> None:
    prompts = [(5, 6, 7), (8, 9)]
    alone = generate(tiny.decoder, prompts, 4, stops=())
    stop = next(token for token in alone[0][:2] if token not in alone[1])
    shapes, run = [], GrowingCache.run

    def watched(cache: GrowingCache, body: Any, hidden: torch.Tensor) -> torch.Tensor:
        shapes.append(len(hidden))
        return run(cache, body, hidden)

    with patch.object(GrowingCache, "run", watched):
        answers = generate(tiny.decoder, prompts, 4, stops={stop})
    ended = alone[0].index(stop) + 1
    assert answers == [alone[0][:ended], alone[1]]
    assert shapes == [2] * ended + [1] * (4 - ended)


def test_bfloat16_is_packed_and_answers(asked: list[Conversation]) -> None:
    """Its rounding differs, so that only nearness can be asked for: of the first token's log-probability."""
    half, whole = tiny_subject(dtype=torch.bfloat16), tiny_subject()
    prompts = [whole.chat.encode(conversation) for conversation in asked]
    answers = generate(half.decoder, prompts, 20)
    best = torch.tensor([generate(whole.decoder, [prompt], 1)[0][0] for prompt in prompts])
    found = choice_logprobs(whole.decoder, prompts, [(answer[0],) for answer in answers]).diagonal()
    likeliest = choice_logprobs(whole.decoder, prompts, [(int(token),) for token in best]).diagonal()
    assert (likeliest - found).max() < 0.3


class TestSampling:
    def test_draws_as_often_as_it_is_likely(self) -> None:
        logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]]).expand(20_000, -1)
        uniforms = np.random.default_rng(0).random(20_000)
        for temperature in (0.5, 1.0, 3.0):
            tokens = draw(logits, Sampling(temperature=temperature), uniforms)
            often = tokens.bincount(minlength=4) / len(tokens)
            assert torch.allclose(often, (logits[0] / temperature).softmax(-1), atol=0.015)

    @pytest.mark.parametrize("first", [1, 2, 256])
    @given(st.lists(st.floats(-4, 4), min_size=1, max_size=40), st.floats(0.01, 1), st.floats(0, 1, exclude_max=True))
    def test_draws_from_the_smallest_set_that_makes_up_top_p(
        self, first: int, logits: list[float], top_p: float, uniform: float
    ) -> None:
        with patch.object(module, "FIRST_LIKELIEST", first):
            token = int(draw(torch.tensor([logits]), Sampling(top_p=top_p), np.array([uniform])))
        probabilities = torch.tensor(logits).softmax(-1)
        likelier = probabilities[probabilities > probabilities[token]].sum()
        assert likelier < top_p + 1e-5

    def test_the_ends_of_the_line_are_tokens_that_can_be_drawn(self) -> None:
        logits = torch.tensor([[-200.0, 0.0, 0.0, -200.0]]).expand(2, -1)
        assert draw(logits, Sampling(), np.array([0.0, np.nextafter(1, 0)])).tolist() == [1, 2]

    def test_nearly_no_temperature_is_greedy(self, tiny: ModelSubject, asked: list[Conversation]) -> None:
        prompts = [tiny.chat.encode(conversation) for conversation in asked]
        cold = generate(tiny.decoder, prompts, 5, sampling=Sampling(temperature=1e-4))
        assert cold == generate(tiny.decoder, prompts, 5)

    def test_the_same_question_asked_again_is_drawn_anew(self, tiny: ModelSubject) -> None:
        drawn = [generate(tiny.decoder, [(5, 6, 7)] * 3, 8, sampling=Sampling(seed=seed)) for seed in (0, 0, 1)]
        assert drawn[0] == drawn[1] != drawn[2]
        assert len({tuple(answer) for answer in drawn[0]}) == 3

    def test_a_stream_begins_the_same_however_long_it_is(self) -> None:
        prompts = [(5, 6), (7,), (5, 6)]
        assert np.array_equal(streams(prompts, 30, 0)[:, :7], streams(prompts, 7, 0))

    @pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"seed": -1}])
    def test_senseless_values_are_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="Give"):
            Sampling(**wrong)


def test_a_model_ends_its_answers_with_all_its_stops(tiny: ModelSubject) -> None:
    configured = tiny.decoder.model.generation_config
    for ends, meant in ((None, set()), (7, {7}), ([7, 9], {7, 9})):
        with patch.object(configured, "eos_token_id", ends):
            assert stop_tokens(tiny.decoder) == meant


def test_nothing_asked_and_nothing_wanted(tiny: ModelSubject) -> None:
    assert generate(tiny.decoder, [], 5) == []
    assert generate(tiny.decoder, [(5, 6)], 0) == [[]]


def test_a_choice_without_tokens_is_refused(tiny: ModelSubject) -> None:
    with pytest.raises(InputError, match="no tokens"):
        choice_logprobs(tiny.decoder, [(5, 6)], [(7,), ()])
