"""What goes into an MLP's last matrix and what is added to what comes out of it, in every family."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from superalign.models.decoder import Decoder
from superalign.models.down_projection import DownProjection
from tests.models.test_decoder import DEPTH, SUPPORTED, close, conversations, copied

VALUE = torch.linspace(-2, 2, 32)
LAYERS = (1, 2, DEPTH)


@pytest.mark.parametrize("family", SUPPORTED)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_added_is_what_a_rewritten_matrix_looks_up(family: str, layer: int) -> None:
    """Of one token: elsewhere a rewritten matrix changes the values of other keys too."""
    decoder = Decoder(copied(family))
    memory = DownProjection(decoder, layer)
    sequences = [(7,)]
    [(_, keys)] = memory.keys(sequences)
    key = keys[0]
    assert memory.weight.shape == (32, len(key))
    below = memory.below(sequences)
    plain = memory.above(below, sequences, [0], torch.zeros(32))[:, 0]
    assert close(plain, decoder.normed(decoder.last_states(sequences, [DEPTH])[:, 0]))
    added = memory.above(below, sequences, [0], VALUE)[:, 0]
    rewritten, tensors = memory.rewritten(memory.weight + torch.outer(VALUE, key) / key.square().sum())
    assert close(added, rewritten.normed(rewritten.last_states(sequences, [DEPTH])[:, 0]))
    assert not close(added, plain)
    [name] = tensors
    assert torch.equal(rewritten.model.get_parameter(name), tensors[name])


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@settings(max_examples=10, deadline=None)
@given(sequences=conversations())
def test_keys_do_not_hang_on_company(family: str, sequences: list[tuple[int, ...]]) -> None:
    memory = DownProjection(Decoder(copied(family)), 2)
    together = dict(memory.keys(sequences))
    assert sorted(together) == list(range(len(sequences)))
    for i, sequence in enumerate(sequences):
        [(_, alone)] = memory.keys([sequence])
        assert alone.shape[0] == len(sequence) and close(together[i], alone)


def test_a_gradient_flows_into_what_is_added() -> None:
    memory = DownProjection(Decoder(copied("llama")), 2)
    sequences = [(5, 6, 7), (5, 8)]
    below = memory.below(sequences)
    added = torch.zeros(32, requires_grad=True)
    out = memory.above(below, sequences, [1, 0], added)
    [early] = torch.autograd.grad(out[0, 0].sum(), added, retain_graph=True)
    [late] = torch.autograd.grad(out[0, 2].square().sum(), added)
    assert not early.any(), "before the position nothing changes"
    assert late.any()
