"""Part-way passes through a transformers decoder: from any layer to any layer, the shared prefix computed once.

Conversations asked of one model mostly begin with the same tokens (the chat template and its system message). Such a
prefix is run once for all of them; each conversation then costs only its own tokens. Sequences are padded on the right,
so that under the causal mask no real token ever sees padding, and no attention mask is needed.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from superalign.contracts.errors import ModelError

TokenIds = tuple[int, ...]
OPENING = 16  # sequences that agree this far are run as one group: past a template's fixed tokens
FEW = 8  # fewer than these are not worth passes of their own
PASS_TOKENS = 4096  # tokens in one batch: enough to fill the matrix products, small enough for the caches

# Factors that some families (Granite, Gemma 2, Cohere) apply outside their layers: a pass from layer to layer would
# apply them twice or never, and be wrong without a sign of it.
OUTSIDE_FACTORS = ("embedding_multiplier", "final_logit_softcapping", "logit_scale", "logits_scaling")


@dataclass
class StateGroup:
    """Conversations that begin with the same tokens, part-way through the model."""

    index: list[int]
    prefix: Float[Tensor, "1 prefix width"]
    hidden: list[Float[Tensor, "tokens width"]]


@dataclass
class States:
    """The residual stream of some conversations after `layer` layers, at every position."""

    layer: int
    groups: list[StateGroup]

    def __len__(self) -> int:
        return sum(len(group.index) for group in self.groups)


class PrefixCache:
    """Keys and values of a shared prefix: recorded in one pass, put in front of every later one.

    Offers what transformers asks of a key-value cache. Unlike `DynamicCache` it keeps nothing of the later passes, so
    that one recording serves many batches, and gradients flow into it.
    """

    is_compileable = False
    is_sliding: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self.recorded: dict[int, tuple[Tensor, Tensor]] = {}
        self.length = 0

    def close(self, length: int) -> None:
        self.length = length

    def update(self, key: Tensor, value: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if not self.length:
            self.recorded[layer] = key, value
            return key, value
        batch = key.shape[0]
        before_key, before_value = self.recorded[layer]
        return (
            torch.cat([before_key.expand(batch, -1, -1, -1), key], dim=2),
            torch.cat([before_value.expand(batch, -1, -1, -1), value], dim=2),
        )

    def get_seq_length(self, layer: int = 0) -> int:
        return self.length

    def get_query_offset(self, layer: int = 0) -> int:
        return self.length

    def get_mask_sizes(self, queries: int, layer: int = 0) -> tuple[int, int]:
        return queries + self.length, 0


class SkippedLayer(nn.Module):
    """Stands where a layer is not to be run, so that the others keep their indices."""

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden


class Decoder:
    """A causal language model of transformers, run from layer to layer.

    Layer 0 is the embedding; layer k the residual stream after k decoder layers.
    """

    def __init__(self, model: Any, *, remembered_bytes: int = 512 * 2**20) -> None:
        body = getattr(model, "model", None)
        if body is None or not hasattr(body, "layers") or not hasattr(body, "norm"):
            raise ModelError(
                f"Models of type {model.config.model_type!r} can't be run layer by layer.",
                fix="Use a decoder of the Llama, Qwen or Gemma family.",
            )
        for factor in OUTSIDE_FACTORS:
            if getattr(model.config, factor, None) not in (None, 1):
                raise ModelError(
                    f"Models of type {model.config.model_type!r} can't be run layer by layer: they use {factor}.",
                    fix="Use a decoder of the Llama, Qwen or Gemma 3 family.",
                )
        # Backward through the fused attention kernel takes a third of a training step on CPU (0.37 s against 0.25 s for
        # 32 short conversations); at these lengths the plain products are as fast forward too.
        model.set_attn_implementation("eager")
        # Nothing here is trained but adapters, which training switches on: a gradient would only cost memory.
        self.model = model.requires_grad_(False)
        self.body = body
        self.depth: int = len(body.layers)
        self.width: int = model.config.hidden_size
        self._slices: dict[tuple[int, int], nn.Module] = {}
        self._remembered: OrderedDict[tuple[int, int, tuple[TokenIds, ...]], States] = OrderedDict()
        self._budget = remembered_bytes

    @property
    def head(self) -> Float[Tensor, "vocabulary width"]:
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    @property
    def device(self) -> torch.device:
        return self.head.device

    def start(self, sequences: Sequence[TokenIds], own: int = 1) -> States:
        """Embeddings of `sequences`, those that open alike in one group; the last `own` of each are never shared."""
        groups = []
        embed = self.model.get_input_embeddings()
        for index, prefix in shared_prefixes(sequences, own):
            tails = [torch.tensor(sequences[i][prefix:], device=self.device) for i in index]
            opening = torch.tensor([sequences[index[0]][:prefix]], dtype=torch.long, device=self.device)
            with torch.no_grad():
                hidden = list(embed(torch.cat(tails)).split([len(tail) for tail in tails]))
                groups.append(StateGroup(index, embed(opening), hidden))
        return States(0, groups)

    @torch.no_grad()
    def advance(self, states: States, layer: int) -> States:
        """The same conversations, further up: after `layer` layers."""
        if layer == states.layer:
            return states
        body = self._slice(states.layer, layer)
        groups = []
        for group in states.groups:
            prefix, cache = run_prefix(body, group.prefix)
            hidden: list[Any] = [None] * len(group.hidden)
            for batch in batches_by_length([len(h) for h in group.hidden]):
                out = run_batch(body, [group.hidden[i] for i in batch], cache)
                for row, i in zip(out, batch, strict=True):
                    hidden[i] = row[: len(group.hidden[i])].clone()
            groups.append(StateGroup(group.index, prefix, hidden))
        return States(layer, groups)

    def remembered(self, sequences: Sequence[TokenIds], layer: int, own: int = 1) -> States:
        """States at `layer`, kept so that models which share the layers below need not compute them again."""
        key = (layer, own, tuple(sequences))
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return self._remembered[key]
        states = self.advance(self.start(sequences, own), layer)
        self._remembered[key] = states
        while len(self._remembered) > 1 and sum(map(state_bytes, self._remembered.values())) > self._budget:
            self._remembered.popitem(last=False)
        return states

    @torch.no_grad()
    def final(self, states: States) -> Float[Tensor, "conversations width"]:
        """Normalised last-layer state at the last position of each conversation, in their order, in float32."""
        last = last_positions(self.advance(states, self.depth))
        normed: Tensor = self.body.norm(last.to(self.head.dtype))
        return normed.float()

    def upper(self, layer: int) -> nn.Module:
        """The layers above `layer` with the final norm, as one module to be trained or run."""
        return self._slice(layer, self.depth, norm=True)

    def _slice(self, start: int, stop: int, *, norm: bool = False) -> nn.Module:
        key = (start, stop + norm)
        if key not in self._slices:
            part: Any = copy.copy(self.body)
            part._modules = dict(self.body._modules)
            part._modules["layers"] = nn.ModuleList(
                layer if start <= i < stop else SkippedLayer() for i, layer in enumerate(self.body.layers)
            )
            if not norm:
                part._modules["norm"] = nn.Identity()
            self._slices[key] = part
        return self._slices[key]


def run_prefix(
    body: nn.Module, prefix: Float[Tensor, "1 prefix width"]
) -> tuple[Float[Tensor, "1 prefix width"], PrefixCache | None]:
    """Run a shared prefix; returns it and the recorded keys and values, or None for an empty prefix."""
    if not prefix.shape[1]:
        return prefix, None
    cache = PrefixCache()
    out = body(inputs_embeds=prefix, past_key_values=cache, use_cache=True).last_hidden_state
    cache.close(prefix.shape[1])
    return out, cache


def run_batch(
    body: nn.Module, hidden: Sequence[Float[Tensor, "_ width"]], cache: PrefixCache | None
) -> Float[Tensor, "batch tokens width"]:
    """Run conversations of one group behind their prefix, padded on the right."""
    padded = pad_sequence(list(hidden), batch_first=True)
    before = cache.length if cache else 0
    positions: Int[Tensor, "1 tokens"] = torch.arange(before, before + padded.shape[1], device=padded.device)[None]
    out: Tensor = body(
        inputs_embeds=padded, past_key_values=cache, use_cache=cache is not None, position_ids=positions
    ).last_hidden_state
    return out


def last_positions(states: States) -> Float[Tensor, "conversations width"]:
    """The state at each conversation's last position, in the order in which they were given."""
    rows: list[Any] = [None] * len(states)
    for group in states.groups:
        for i, hidden in zip(group.index, group.hidden, strict=True):
            rows[i] = hidden[-1]
    return torch.stack(rows)


def shared_prefixes(sequences: Sequence[TokenIds], own: int = 1) -> Iterator[tuple[list[int], int]]:
    """Groups of sequences that open alike, each with the length of what it shares; the few that open like few others
    make one group more.

    Every sequence keeps its last `own` positions out of that: those whose states somebody wants.
    """
    openings: dict[TokenIds, list[int]] = {}
    for i, sequence in enumerate(sequences):
        openings.setdefault(sequence[: min(OPENING, max(0, len(sequence) - own))], []).append(i)
    groups = [index for index in openings.values() if len(index) >= FEW]
    if few := [i for index in openings.values() if len(index) < FEW for i in index]:
        groups.append(sorted(few))
    for index in groups:
        first, last = (pick(sequences[i] for i in index) for pick in (min, max))
        yield index, common_prefix(first, last, max(0, min(len(sequences[i]) for i in index) - own))


def common_prefix(a: TokenIds, b: TokenIds, limit: int) -> int:
    """Number of leading tokens that `a` and `b` share, at most `limit`."""
    for i in range(min(limit, len(a), len(b))):
        if a[i] != b[i]:
            return i
    return min(limit, len(a), len(b))


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length, each of at most PASS_TOKENS padded tokens."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > PASS_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def state_bytes(states: States) -> int:
    """Memory of `states`."""
    return sum(
        tensor.numel() * tensor.element_size() for group in states.groups for tensor in (group.prefix, *group.hidden)
    )
