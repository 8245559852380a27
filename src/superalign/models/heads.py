"""Single attention heads: where each looks, and a model without some of them.

What a head reads is at `Site("heads", layer)`, all heads of the layer one after another; `part_of_head` is one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.intervene import Patch, intervene
from superalign.models.reading import run_prefix
from superalign.models.sites import BLOCKS, Site, first_of, with_parts, within_taps


class Head(NamedTuple):
    """A head of a layer; layers count from 1 as in sites, heads from 0."""

    layer: int
    head: int

    def __str__(self) -> str:
        return f"{self.layer}.{self.head}"


class PatternTap(nn.Module):
    """An attention block whose weights are kept."""

    def __init__(self, block: nn.Module, kept: list[Tensor]) -> None:
        super().__init__()
        self.block, self.kept = block, kept

    def forward(self, *arguments: Any, **named: Any) -> Any:
        out = self.block(*arguments, **named)
        self.kept.append(out[1])
        return out


def part_of_head(decoder: Decoder, head: Head) -> slice:
    """Where `head` is in what is at the site of all heads of its layer. InputError when there is no such head."""
    if not (1 <= head.layer <= decoder.depth and 0 <= head.head < decoder.heads):
        raise InputError(
            f"The model has no head {head}.",
            fix=f"Its layers go from 1 to {decoder.depth}, their heads from 0 to {decoder.heads - 1}.",
        )
    width = decoder.width_at(Site("heads", head.layer)) // decoder.heads
    return slice(head.head * width, (head.head + 1) * width)


@torch.no_grad()
def attention_patterns(decoder: Decoder, sequence: TokenIds) -> Float[Tensor, "layers heads queries keys"]:
    """How much each head attends from each position of `sequence` to each, in float32.

    InputError for a model whose adapters work on some positions only: it has two patterns for each head.
    """
    if decoder.reader is not decoder:
        raise InputError(
            "Attention patterns are those of a whole model, and adapters that work from the invocation on make another "
            "model of it there.",
            fix="Ask its base, or merge the adapters.",
        )
    kept: list[Tensor] = []
    layers = [within_taps(layer, partial(_with_patterns, kept=kept)) for layer in decoder.layers]
    run_prefix(decoder.body_of(layers), decoder.embedded([sequence])[0][None], sequence)
    return torch.stack([pattern[0].float().cpu() for pattern in kept])


def _with_patterns(layer: nn.Module, kept: list[Tensor]) -> nn.Module:
    name = first_of(layer, BLOCKS["attention"], Site("attention", 1))
    block = within_taps(layer.get_submodule(name), partial(PatternTap, kept=kept))
    return with_parts(layer, {name: block})


def without_heads(decoder: Decoder, heads: Iterable[Head]) -> Decoder:
    """A decoder in which these heads read zeros, at every position."""
    patches = []
    for head in heads:
        site = Site("heads", head.layer)
        patches.append(Patch(site, torch.zeros(decoder.width_at(site)), part=part_of_head(decoder, head)))
    return intervene(decoder, patches)


def others_of_the_same_layers(decoder: Decoder, heads: Sequence[Head], rng: np.random.Generator) -> list[Head]:
    """For each head another one of its layer, at random, as long as there are: the control to whatever they do."""
    chosen = []
    for layer in sorted({head.layer for head in heads}):
        own = [head.head for head in heads if head.layer == layer]
        rest = [head for head in range(decoder.heads) if head not in own]
        chosen += [Head(layer, int(head)) for head in rng.choice(rest, min(len(own), len(rest)), replace=False)]
    return chosen
