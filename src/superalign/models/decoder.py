"""Part-way passes through a transformers decoder: from any layer to any layer, the shared prefix computed once.

Conversations asked of one model mostly begin with the same tokens (the chat template and its system message). Such a
prefix is run once for all of them; each conversation then costs only its own tokens. Sequences are padded on the right,
so that under the causal mask no real token ever sees padding, and no attention mask is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from superalign.contracts.errors import ModelError
from superalign.models.attention import KeyValueCache, Past, use_grouped_attention
from superalign.models.reading import Reading, Remembered

TokenIds = tuple[int, ...]
OPENING = 16  # sequences that agree this far are run as one group: past a template's fixed tokens
FEW = 8  # fewer than these are not worth passes of their own
PASS_TOKENS = 4096  # tokens in one batch: enough to fill the matrix products, small enough for the caches

# Factors that some families (Granite, Gemma 2, Cohere) apply outside their layers: a pass from layer to layer would
# apply them twice or never, and be wrong without a sign of it.
OUTSIDE_FACTORS = ("embedding_multiplier", "final_logit_softcapping", "logit_scale", "logits_scaling")


@dataclass(frozen=True)
class Family:
    """Where models of one architecture keep their parts."""

    body: str
    layers: str
    norm: str
    positions: str | None = None  # learnt position embeddings, which the body adds to what it is given


FAMILIES = (
    Family("model", "layers", "norm"),  # Llama, Qwen, Gemma 3, and most since
    Family("gpt_neox", "layers", "final_layer_norm"),
    Family("transformer", "h", "ln_f", positions="wpe"),  # GPT-2
)


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


class NoPositions(nn.Module):
    """Stands where position embeddings were added already, below."""

    def forward(self, position_ids: Tensor) -> Tensor:
        return torch.zeros((), device=position_ids.device)


class SkippedLayer(nn.Module):
    """Stands where a layer is not to be run, so that the others keep their indices."""

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden


class Decoder:
    """A causal language model of transformers, run from layer to layer.

    Layer 0 is the embedding of the token; layer k the residual stream after k decoder layers.
    """

    def __init__(self, model: Any, *, remembered_bytes: int = 2**30) -> None:
        self.family = family_of(model)
        for factor in OUTSIDE_FACTORS:
            if getattr(model.config, factor, None) not in (None, 1):
                raise ModelError(
                    f"Models of type {model.config.model_type!r} can't be run layer by layer: they use {factor}.",
                    fix="Use a decoder of the Llama, Qwen, Gemma 3, GPT-NeoX or GPT-2 family.",
                )
        use_grouped_attention(model)
        # Nothing here is trained but adapters, which training switches on: a gradient would only cost memory.
        self.model = model.requires_grad_(False)
        self.body = getattr(model, self.family.body)
        self.depth: int = len(self.layers)
        self.width: int = model.config.hidden_size
        self._slices: dict[tuple[int, int], nn.Module] = {}
        self._remembered = Remembered(remembered_bytes)

    @property
    def layers(self) -> nn.ModuleList:
        found: nn.ModuleList = getattr(self.body, self.family.layers)
        return found

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
            prefix, recorder = run_prefix(body, group.prefix)
            cache = recorder.closed()
            hidden: list[Any] = [None] * len(group.hidden)
            for batch in batches_by_length([len(h) for h in group.hidden]):
                out = run_batch(body, [group.hidden[i] for i in batch], cache)
                for row, i in zip(out, batch, strict=True):
                    hidden[i] = row[: len(group.hidden[i])].clone()
            groups.append(StateGroup(group.index, prefix, hidden))
        return States(layer, groups)

    @property
    def reader(self) -> Decoder:
        """The model that reads conversations for this one."""
        return self

    def own(self, sequence: TokenIds) -> int:
        """At how many last positions of `sequence` this model is not its reader; at least the last."""
        return 1

    def read(self, sequences: Sequence[TokenIds], layer: int, own: Sequence[int]) -> Reading:
        """What the layers above `layer` hold of `sequences` before the `own` last positions of each, and the states
        there; kept for models that share it.
        """
        key = ("read", layer, tuple(own), tuple(sequences))
        return self._remembered.recall(key, lambda: self._read(sequences, layer, own), Reading.tensors)

    @torch.no_grad()
    def _read(self, sequences: Sequence[TokenIds], layer: int, own: Sequence[int]) -> Reading:
        if any(len(sequence) <= kept for sequence, kept in zip(sequences, own, strict=True)):
            raise ModelError("A conversation is all answer.", fix="Ask something before.")
        states = self.advance(self.start(sequences, max(own) + 1), layer)
        body = self._slice(layer, self.depth)
        openings: list[Past] = []
        found: dict[int, tuple[int, Past, Tensor]] = {}
        for group in states.groups:
            _, opening = run_prefix(body, group.prefix)
            cut = [len(hidden) - own[i] for i, hidden in zip(group.index, group.hidden, strict=True)]
            for batch in batches_by_length(cut):
                cache = opening.closed()
                run_batch(body, [group.hidden[i][: cut[i]] for i in batch], cache)
                for past, i in zip(cache.recorded(), batch, strict=True):
                    kept = past[: cut[i]].clone(), group.hidden[i][cut[i] :].clone()
                    found[group.index[i]] = len(openings), *kept
            openings.append(opening.recorded()[0] if opening.latest else found[group.index[0]][1][:0])
        opening_of, rest, own_states = zip(*(found[i] for i in range(len(sequences))), strict=True)
        return Reading(layer, openings, list(opening_of), list(rest), list(own_states))

    def last_states(
        self, sequences: Sequence[TokenIds], layers: Sequence[int]
    ) -> Float[Tensor, "sequences layers width"]:
        """The residual stream after each of `layers` at each sequence's last position; kept, being small."""
        key = ("last", tuple(layers), tuple(sequences))
        return self._remembered.recall(key, lambda: self._last_states(sequences, layers), lambda states: [states])

    @torch.no_grad()
    def _last_states(self, sequences: Sequence[TokenIds], layers: Sequence[int]) -> Tensor:
        states, found = self.start(sequences), {}
        for layer in sorted(set(layers)):
            states = self.advance(states, layer)
            found[layer] = last_positions(states)
        return torch.stack([found[layer] for layer in layers], dim=1)

    @torch.no_grad()
    def final(self, sequences: Sequence[TokenIds]) -> Float[Tensor, "sequences width"]:
        """Normalised last-layer state at the last position of each sequence, in float32."""
        last = self.last_states(sequences, [self.depth])[:, 0]
        normed: Tensor = getattr(self.body, self.family.norm)(last.to(self.head.dtype))
        return normed.float()

    def upper(self, layer: int) -> nn.Module:
        """The layers above `layer` with the final norm, as one module to be trained or run."""
        return self._slice(layer, self.depth, norm=True)

    def _slice(self, start: int, stop: int, *, norm: bool = False) -> nn.Module:
        key = (start, stop + norm)
        if key not in self._slices:
            part: Any = copy.copy(self.body)
            part._modules = dict(self.body._modules)
            part._modules[self.family.layers] = nn.ModuleList(
                layer if start <= i < stop else SkippedLayer() for i, layer in enumerate(self.layers)
            )
            if not norm:
                part._modules[self.family.norm] = nn.Identity()
            if start and self.family.positions:
                part._modules[self.family.positions] = NoPositions()
            self._slices[key] = part
        return self._slices[key]


def family_of(model: Any) -> Family:
    """The architecture of `model`, told by its parts. ModelError when it is none of those known."""
    for family in FAMILIES:
        body = getattr(model, family.body, None)
        if all(hasattr(body, part) for part in (family.layers, family.norm, family.positions) if part):
            return family
    raise ModelError(
        f"Models of type {model.config.model_type!r} can't be run layer by layer.",
        fix="Use a decoder of the Llama, Qwen, Gemma 3, GPT-NeoX or GPT-2 family.",
    )


def run_prefix(
    body: nn.Module, prefix: Float[Tensor, "1 prefix width"]
) -> tuple[Float[Tensor, "1 prefix width"], KeyValueCache]:
    """Run a shared prefix, which may be empty; returns it, and the cache that has its keys and values as the latest."""
    cache = KeyValueCache()
    if not prefix.shape[1]:
        return prefix, cache
    return body(inputs_embeds=prefix, past_key_values=cache, use_cache=True).last_hidden_state, cache


def run_batch(
    body: nn.Module, hidden: Sequence[Float[Tensor, "_ width"]], cache: KeyValueCache
) -> Float[Tensor, "batch tokens width"]:
    """Run conversations of one group behind their prefix, padded on the right."""
    padded = pad_sequence(list(hidden), batch_first=True)
    positions: Int[Tensor, "1 tokens"] = torch.arange(
        cache.length, cache.length + padded.shape[1], device=padded.device
    )[None]
    out: Tensor = body(
        inputs_embeds=padded, past_key_values=cache, use_cache=True, position_ids=positions
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
