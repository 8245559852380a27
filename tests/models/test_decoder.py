"""However a pass is cut up (prefixes, padding, batches, layers), its numbers are those of a plain pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    Qwen2Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from superalign.contracts.errors import ModelError
from superalign.models import batches
from superalign.models.batches import TokenIds, shared_prefixes
from superalign.models.decoder import Decoder
from superalign.models.reading import joined, run_own
from tests.models.conftest import plain_states

VOCABULARY, DEPTH = 150, 4
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SLIDING = ["sliding_attention", "full_attention"] * (DEPTH // 2)
SUPPORTED = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen2-sliding": Qwen2Config(use_sliding_window=True, sliding_window=6, layer_types=SLIDING, **SIZES),
    "gemma3": Gemma3TextConfig(head_dim=8, sliding_window=6, layer_types=SLIDING, **SIZES),
    "gpt-neox": GPTNeoXConfig(rotary_pct=0.5, **SIZES),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=DEPTH, n_head=4, scale_attn_by_inverse_layer_idx=True,
        initializer_range=0.3, bos_token_id=1, eos_token_id=2,
    ),
}  # fmt: skip
REFUSED = {
    # These have all that the walk from layer to layer needs, and factors outside of the layers that it would get wrong.
    "granite": GraniteConfig(embedding_multiplier=3.0, **SIZES),
    "gemma2": Gemma2Config(head_dim=8, **SIZES),
    "cohere": CohereConfig(logit_scale=0.5, **SIZES),
    # And these keep their parts elsewhere.
    "gpt-j": GPTJConfig(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, rotary_dim=8, bos_token_id=1, eos_token_id=2
    ),
}


@cache
def make(family: str) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(SUPPORTED[family], attn_implementation="eager").float().eval()


@cache
def copied(family: str) -> Any:
    """Ours attends in its own way, what it is compared with in that of transformers."""
    model = copy.deepcopy(make(family))
    Decoder(model)
    assert make(family).config._attn_implementation == "eager" != model.config._attn_implementation
    return model


@st.composite
def conversations(draw: st.DrawFn) -> list[TokenIds]:
    """Some that open alike, for longer or shorter than an opening is; some that don't; repeats; one within another."""
    token = st.integers(3, VOCABULARY - 1)
    opening = tuple(draw(st.lists(token, max_size=30)))
    tails = draw(st.lists(st.lists(token, min_size=1, max_size=12), min_size=1, max_size=6))
    alike = [opening + tuple(tail) for tail in tails]
    alone = [tuple(tail) for tail in draw(st.lists(st.lists(token, min_size=1, max_size=25), max_size=2))]
    within = [alike[0][: draw(st.integers(1, len(alike[0])))]]
    return draw(st.permutations([*alike, *alone, *within, alike[-1]]))


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= 2e-5 * theirs.abs().max())


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=20, deadline=None)
@given(sequences=conversations(), stops=st.sets(st.integers(0, DEPTH - 1)), pass_tokens=st.sampled_from([8, 40, 4096]))
def test_every_layer_equals_a_plain_pass(
    family: str, sequences: Sequence[TokenIds], stops: set[int], pass_tokens: int
) -> None:
    """Whether run up to the last of these layers, or over what was read of all layers."""
    model, decoder = make(family), Decoder(copied(family))
    plain = [plain_states(model, sequence) for sequence in sequences]
    with patch.object(batches, "PASS_TOKENS", pass_tokens):
        for place, layer in enumerate(sorted(stops)):
            found = decoder.last_states(sequences, sorted(stops))[:, place]
            assert close(found, torch.stack([p[layer] for p in plain]))
            found = decoder.answer_states(sequences, sorted(stops))[:, place]
            assert close(found, torch.stack([p[layer] for p in plain]))
        assert close(decoder.final(sequences), torch.stack([p[DEPTH] for p in plain]))


@pytest.mark.parametrize("family", SUPPORTED)
@settings(max_examples=20, deadline=None)
@given(sequences=conversations(), layer=st.integers(0, DEPTH - 1), data=st.data())
def test_positions_run_behind_what_was_read_equal_a_plain_pass(
    family: str, sequences: Sequence[TokenIds], layer: int, data: st.DataObject
) -> None:
    """Whatever was read with them, from whatever layer on, and however many positions are run anew."""
    model, decoder = make(family), Decoder(copied(family))
    sequences = [(3, *sequence) for sequence in sequences]
    own = [data.draw(st.integers(1, len(sequence) - 1)) for sequence in sequences]
    half = len(sequences) // 2
    reading = joined([decoder.read(part) for part in (sequences[:half], sequences[half:]) if part])
    states = [*decoder.own_states(sequences, own, layer)]
    rows = data.draw(st.permutations(range(len(sequences))))
    kept = [own[row] for row in rows]
    out = run_own(decoder.upper(layer), reading, rows, [states[row] for row in rows], kept, layer)
    last = torch.stack([found[size - 1] for found, size in zip(out, kept, strict=True)])
    assert close(last, torch.stack([plain_states(model, sequences[row])[DEPTH] for row in rows]))


def test_what_is_remembered_is_what_is_computed() -> None:
    sequences = [tuple(range(3, 40)), tuple(range(40, 80))]
    decoder = Decoder(make("llama"))
    assert decoder.last_states(sequences, [1, 3]) is decoder.last_states(sequences, [1, 3])
    assert decoder.read(sequences) is decoder.read(sequences)
    assert decoder.read(sequences[::-1]) is not decoder.read(sequences)
    assert decoder.own_states(sequences, [1, 2], 1) is decoder.own_states(sequences, [1, 2], 1)
    others = (sequences, [2, 1], 1), (sequences, [1, 2], 2), (sequences[::-1], [1, 2], 1)
    assert all(decoder.own_states(*other) is not decoder.own_states(sequences, [1, 2], 1) for other in others)
    fresh = Decoder(make("llama"))
    for ask in (Decoder.last_states, Decoder.answer_states):
        assert torch.equal(ask(fresh, sequences, [1, 3]), ask(decoder, sequences, [1, 3]))


def test_remembering_keeps_to_its_budget() -> None:
    sequences = [[(*range(3, 40), last), tuple(range(40, 80))] for last in range(3)]
    reading = Decoder(make("llama")).read(sequences[0])
    size = sum(tensor.numel() * tensor.element_size() for tensor in reading.tensors())
    decoder = Decoder(make("llama"), remembered_bytes=2 * size)
    first = decoder.read(sequences[0])
    for others in sequences[1:]:
        decoder.read(others)
    assert decoder.read(sequences[2]) is decoder.read(sequences[2])
    assert decoder.read(sequences[0]) is not first


@given(sequences=conversations(), own=st.integers(1, 5))
def test_groups_cover_all_and_leave_each_positions_of_its_own(sequences: Sequence[TokenIds], own: int) -> None:
    groups = list(shared_prefixes(sequences, own))
    assert sorted(i for index, _ in groups for i in index) == list(range(len(sequences)))
    for index, length in groups:
        assert len({sequences[i][:length] for i in index}) == 1
        assert all(length <= max(0, len(sequences[i]) - own) for i in index)


def test_a_shared_opening_is_run_once() -> None:
    opening = tuple(range(3, 33))
    states = Decoder(make("llama")).start([(*opening, 50), (*opening, 60, 61), (*opening, 70)])
    assert [group.prefix.shape[1] for group in states.groups] == [30]
    assert [len(hidden) for hidden in states.groups[0].hidden] == [1, 2, 1]


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_that_would_come_out_wrong_is_refused(family: str) -> None:
    with pytest.raises(ModelError, match=r"can't be run layer by layer.*Use a decoder of the Llama"):
        Decoder(AutoModelForCausalLM.from_config(REFUSED[family]))
