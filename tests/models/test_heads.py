"""Heads are where they are said to be: patterns as transformers has them, and one head changed without the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superalign.contracts.errors import InputError
from superalign.models.decoder import Decoder
from superalign.models.generate import generate
from superalign.models.heads import (
    Head,
    attention_patterns,
    others_of_the_same_layers,
    part_of_head,
    without_heads,
)
from superalign.models.intervene import Patch, intervene
from superalign.models.sites import BLOCKS, OUT_PROJECTIONS, Site
from superalign.testing.tiny import build, tiny_relative, tiny_subject
from tests.models.test_decoder import SUPPORTED, copied, make

ROWS = [(5, 9, 700, 31, 8, 4), (7, 7, 90, 1200, 44), (5, 9, 700, 2, 3, 6)]


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return tiny_subject().decoder


def at_all(decoder: Decoder, site: Site) -> list[torch.Tensor]:
    found = [torch.empty(0)] * len(ROWS)
    for batch, rows in decoder.visit(ROWS, [site], [np.arange(len(row)) for row in ROWS]):
        for i, own in zip(batch, rows[site].split([len(ROWS[i]) for i in batch]), strict=True):
            found[i] = own.clone()
    return found


@pytest.mark.parametrize("family", SUPPORTED)
def test_patterns_are_those_of_transformers(family: str) -> None:
    row = tuple(range(5, 18))
    expected = make(family)(input_ids=torch.tensor([row]), output_attentions=True).attentions
    found = attention_patterns(Decoder(copied(family)), row)
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", SUPPORTED)
def test_heads_read_what_goes_into_the_output_projection(family: str) -> None:
    row, site, decoder = tuple(range(5, 18)), Site("heads", 3), Decoder(copied(family))
    seen: list[torch.Tensor] = []
    [projection] = [
        module
        for name, module in make(family).named_modules()
        if ".2." in name and name.split(".")[-2] in BLOCKS["attention"] and name.split(".")[-1] in OUT_PROJECTIONS
    ]
    hook = projection.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0][0]))
    make(family)(input_ids=torch.tensor([row]))
    hook.remove()
    [(_, rows)] = decoder.visit([row], [site], [np.arange(len(row))])
    torch.testing.assert_close(rows[site], seen[0].detach(), atol=1e-5, rtol=1e-4)
    assert rows[site].shape[1] == decoder.width_at(site)


def test_without_a_head_is_without_its_columns(decoder: Decoder) -> None:
    model = build(0, 5, 64, torch.float32)
    gone = [Head(2, 1), Head(2, 3), Head(4, 0)]
    for head in gone:
        part = part_of_head(decoder, head)
        model.model.layers[head.layer - 1].self_attn.o_proj.weight.data[:, part] = 0
    expected, found = Decoder(model), without_heads(decoder, gone)
    torch.testing.assert_close(found.final(ROWS), expected.final(ROWS), atol=1e-4, rtol=1e-4)
    assert generate(found, ROWS, 4) == generate(expected, ROWS, 4)
    assert not torch.allclose(found.final(ROWS), decoder.final(ROWS), atol=1e-2)
    torch.testing.assert_close(attention_patterns(found, ROWS[0]), attention_patterns(expected, ROWS[0]))


def test_a_head_is_patched_by_conversation_and_alone(decoder: Decoder) -> None:
    site, head = Site("heads", 3), Head(3, 2)
    values = [torch.randn(len(row), decoder.width_at(site)) for row in ROWS]
    part = part_of_head(decoder, head)
    changes = {
        row: [Patch(site, value, at=range(len(row)), part=part)] for row, value in zip(ROWS, values, strict=True)
    }
    changed = intervene(decoder, changes)
    for before, after, value in zip(at_all(decoder, site), at_all(changed, site), values, strict=True):
        torch.testing.assert_close(after[:, part], value[:, part])
        untouched = [i for i in range(after.shape[1]) if not part.start <= i < part.stop]
        torch.testing.assert_close(after[:, untouched], before[:, untouched], atol=1e-5, rtol=1e-4)


def test_patches_of_two_heads_have_two_identities(decoder: Decoder) -> None:
    assert without_heads(decoder, [Head(2, 1)]).identity(5) != without_heads(decoder, [Head(2, 2)]).identity(5)


def test_others_are_of_the_same_layers(decoder: Decoder) -> None:
    heads = [Head(1, 0), Head(1, 2), Head(5, 3)]
    others = others_of_the_same_layers(decoder, heads, np.random.default_rng(0))
    assert sorted(head.layer for head in others) == [1, 1, 5] and not set(others) & set(heads)


@pytest.mark.parametrize("head", [Head(0, 0), Head(6, 0), Head(1, 4), Head(1, -1)])
def test_a_head_that_is_not_there(decoder: Decoder, head: Head) -> None:
    with pytest.raises(InputError, match="no head"):
        without_heads(decoder, [head])


def test_adapters_that_work_on_some_positions_have_no_one_pattern() -> None:
    base = tiny_subject()
    with pytest.raises(InputError, match="whole model"):
        attention_patterns(tiny_relative("relative", base).decoder, ROWS[0])
