"""A pass that does not fit is cut in two, to the last conversation; what comes out is the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.models.adapter import AdaptedDecoder
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.harvest import harvest
from superalign.models.memory import Halving, is_out_of_memory
from superalign.models.sites import Site
from superalign.testing.tiny import tiny_relative, tiny_subject
from tests.models.test_decoder import DEPTH, copied

SEQUENCES: list[TokenIds] = [(*range(3, 33), *range(40, 41 + i)) for i in range(12)]


class Cramped(nn.Module):
    """A layer in whose memory only so many tokens fit; the error is the allocator's own."""

    def __init__(self, layer: nn.Module, tokens: int, calls: list[int]) -> None:
        super().__init__()
        self.layer, self.tokens, self.calls = layer, tokens, calls

    def forward(self, hidden: Tensor, *arguments: Any, **named: Any) -> Any:
        size = hidden.shape[0] * hidden.shape[1]
        self.calls.append(size)
        if size > self.tokens:
            torch.empty(2**60, dtype=torch.uint8)
        return self.layer(hidden, *arguments, **named)


def cramped(decoder: Decoder, tokens: int) -> tuple[Decoder, list[int]]:
    """The same model in less memory, and the sizes of the passes that it is asked for."""
    calls: list[int] = []
    layers = list(decoder.layers)
    layers[1] = Cramped(layers[1], tokens, calls)
    return Decoder(decoder.with_layers(layers)), calls


def test_the_allocators_error_is_known_from_others() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("tokens", [34, 50])
def test_all_passes_give_the_same_in_less_memory(family: str, tokens: int, tmp_path: Path) -> None:
    roomy = Decoder(copied(family))
    tight, calls = cramped(roomy, tokens)
    assert torch.allclose(tight.last_states(SEQUENCES, [1, DEPTH]), roomy.last_states(SEQUENCES, [1, DEPTH]), atol=1e-4)
    assert max(calls) > tokens
    ours, theirs = (decoder.read(SEQUENCES) for decoder in (tight, roomy))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours.tensors(), theirs.tensors(), strict=True))
    little, much = (
        harvest(decoder, SEQUENCES, [Site("mlp", 3)], "all", folder=tmp_path / name)
        for name, decoder in (("tight", tight), ("roomy", roomy))
    )
    assert torch.allclose(little.load(Site("mlp", 3)), much.load(Site("mlp", 3)), atol=1e-4)


def test_adapters_give_the_same_in_less_memory() -> None:
    base = tiny_subject()
    relative = tiny_relative("relative", base)
    assert isinstance(relative.decoder, AdaptedDecoder)
    sequences = [(*range(3, 20), *range(40, 41 + i), *relative.decoder.invocation) for i in range(12)]
    expected = relative.decoder.last_states(sequences, [5])
    tight, calls = copy.copy(relative.decoder), list[int]()
    layers = list(tight.layers)
    layers[4] = Cramped(layers[4], 2 * len(relative.decoder.invocation), calls)
    tight.model = tight.with_layers(layers)
    tight.body, tight._slices = tight.model.model, {}
    assert torch.allclose(tight.last_states(sequences, [5]), expected, atol=1e-4)
    assert max(calls) > 2 * len(relative.decoder.invocation) >= min(calls)


@pytest.mark.parametrize("tokens", [11, 5])
def test_one_conversation_that_does_not_fit_is_told(tokens: int) -> None:
    """In the opening that all share, or behind it."""
    tight, _ = cramped(Decoder(copied("llama")), tokens)
    sequences = [(*range(3, 9), *range(20, 32)), (*range(3, 9), 50)]
    with pytest.raises(InputError, match=r"One conversation of \d+ tokens does not fit in memory.*Shorten it"):
        tight.last_states(sequences, [DEPTH])


def test_another_error_goes_through() -> None:
    def run(batch: list[int]) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        list(Halving().run([[0, 1]], run, [1, 1]))


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=30), fits=st.integers(20, 60), size=st.integers(1, 10))
def test_every_conversation_is_run_once_and_the_batch_stays_small(lengths: Sequence[int], fits: int, size: int) -> None:
    batches = [list(range(len(lengths)))[i : i + size] for i in range(0, len(lengths), size)]
    failed: list[int] = []

    def run(batch: list[int]) -> list[int]:
        padded = len(batch) * max(lengths[i] for i in batch)
        assert not any(padded >= before for before in failed), "as large as one that did not fit"
        if padded > fits:
            failed.append(padded)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return batch

    done = [i for batch, result in Halving().run(batches, run, lengths) for i in result if batch is result]
    assert done == list(range(len(lengths)))
