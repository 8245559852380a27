"""The floor: FLOPs as torch counts them, no more than a pass that wastes nothing would make."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from superalign.bench import floor
from superalign.bench.floor import Needs, TokenCost
from superalign.models.decoder import Decoder
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_subject


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return tiny_subject(layers=3).decoder


@torch.no_grad()
def counted(decoder: Decoder, tokens: list[int], *, logits: bool) -> int:
    """What a model of transformers makes of one conversation, token by token: no product with what lies ahead."""
    model, cache = decoder.model, DynamicCache()
    with FlopCounterMode(display=False) as counter:
        for token in tokens:
            (model if logits else decoder.body)(torch.tensor([[token]]), past_key_values=cache, use_cache=True)
    return counter.get_total_flops()


def test_flops_are_those_that_torch_counts(decoder: Decoder) -> None:
    tokens = (5, 9, 3, 700, 8)
    cost, everywhere = TokenCost.of(decoder), [len(tokens)]
    assert cost.flops([tokens], 3, everywhere) == counted(decoder, list(tokens), logits=False)
    assert cost.flops([tokens], 3, everywhere, logits=True) == counted(decoder, list(tokens), logits=True)


def test_what_nobody_asks_for_is_not_needed(decoder: Decoder) -> None:
    """Of the last layer, positions that are not wanted give keys and values only: two of seven products."""
    cost = TokenCost.of(decoder)
    everything, last = cost.flops([(1, 2, 3)], 3, [3]), cost.flops([(1, 2, 3)], 3)
    layer = decoder.layers[0]
    spared = cost.layer - layer.self_attn.k_proj.weight.numel() - layer.self_attn.v_proj.weight.numel()
    assert everything - last == 2 * (2 * spared + cost.pair * (1 + 2))


def test_what_is_shared_is_needed_once(decoder: Decoder) -> None:
    cost = TokenCost.of(decoder)
    alone = cost.flops([(1, 2, 3, 4)], 2)
    assert cost.flops([(1, 2, 3, 4), (1, 2, 3, 4)], 2) == alone
    branch = cost.flops([(1, 2, 3, 4), (1, 2, 3, 5)], 2) - alone
    assert branch == 2 * 2 * (cost.layer + 4 * cost.pair)
    assert cost.flops([(1, 2, 3, 4), (9, 2, 3, 4)], 2) == 2 * alone


def test_weights_that_must_be_read(decoder: Decoder) -> None:
    layer = sum(parameter.nbytes for parameter in decoder.layers[0].parameters() if parameter.ndim == 2)
    assert floor.weight_bytes(decoder, 2) == 2 * layer


def test_products_are_counted() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert floor.counted_flops(lambda: left @ right) == 2 * 3 * 5 * 7


def test_time_is_shared_out_by_what_the_work_is() -> None:
    left, right = torch.ones(400, 400), torch.ones(400, 400)
    products = floor.shares(lambda: [left @ right for _ in range(20)], "cpu")
    assert next(iter(products)) == floor.PRODUCTS
    elsewhere = floor.shares(lambda: sum(range(300_000)), "cpu")
    assert next(iter(elsewhere)) == floor.OUTSIDE
    assert sum(products.values()) == pytest.approx(1) and sum(elsewhere.values()) == pytest.approx(1)


def test_attention_is_told_from_the_other_products(tiny: ModelSubject) -> None:
    sequences = [tuple(range(start, start + 40)) for start in range(20)]
    found = floor.shares(lambda: Decoder(tiny.decoder.model).last_states(sequences, [3]), "cpu")
    assert found[floor.PRODUCTS] > 0 and found[floor.ATTENTION] > 0 and found[floor.ELSE] > 0


@pytest.mark.parametrize(("flops", "moved", "binding"), [(1e9, 0.0, "FLOPs"), (0.0, 1e9, "bytes")])
def test_the_larger_floor_binds(monkeypatch: pytest.MonkeyPatch, flops: float, moved: float, binding: str) -> None:
    monkeypatch.setattr(floor, "attained_flops", lambda *_: 1e9)
    monkeypatch.setattr(floor, "attained_bytes", lambda *_: 1e9)
    needs = Needs(flops, moved, (), torch.float32)
    found = floor.profile(lambda: torch.ones(10), 2.5, needs, "cpu", "nothing")
    assert found.distance == 2.5 and f"2.5 times the floor by {binding}" in found.explained


def test_rates_are_positive_and_finite() -> None:
    assert 0 < floor.attained_flops(((64, 32, 16),), torch.bfloat16, "cpu") < 1e16
    assert 0 < floor.attained_bytes("cpu") < 1e14
