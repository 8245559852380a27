"""Part-way passes through a transformers decoder: from any layer to any layer, the shared prefix computed once.

Conversations asked of one model mostly begin with the same tokens (the chat template and its system message). Such a
prefix is run once for all of them; each conversation then costs only its own tokens. Sequences are padded on the right,
so that under the causal mask no real token ever sees padding, and no attention mask is needed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from superalign.contracts.errors import ModelError
from superalign.models.attention import Past, use_grouped_attention
from superalign.models.batches import TokenIds, batches_by_length, last_tokens, shared_prefixes
from superalign.models.identity import module_digest
from superalign.models.memory import Halving
from superalign.models.products import by_onednn, can_use_onednn
from superalign.models.reading import Reading, Remembered, check_asked, run_batch, run_own, run_prefix
from superalign.models.sites import Site, Touch, check_sites, tapped
from superalign.models.visit import Visit

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
    sequences: list[TokenIds]
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

    def __init__(self, model: Any, *, remembered_bytes: int = 2**31) -> None:
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
        self.heads: int = model.config.num_attention_heads
        self._slices: dict[tuple[int, int], nn.Module] = {}
        self._remembered = Remembered(remembered_bytes)

    @property
    def layers(self) -> nn.ModuleList:
        found: nn.ModuleList = getattr(self.body, self.family.layers)
        return found

    @property
    def _passed(self) -> Sequence[nn.Module]:
        """The layers for passes without gradients."""
        if self.head.dtype == torch.float32 and can_use_onednn(self.head):
            return [by_onednn(layer, packed=False) for layer in self.layers]
        return list(self.layers)

    @property
    def head(self) -> Float[Tensor, "vocabulary width"]:
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    @property
    def device(self) -> torch.device:
        return self.head.device

    def width_at(self, site: Site) -> int:
        """How many numbers a position has at `site`."""
        if site.kind != "heads":
            return self.width
        return self.heads * (getattr(self.model.config, "head_dim", None) or self.width // self.heads)

    @torch.no_grad()
    def start(self, sequences: Sequence[TokenIds], own: int = 1) -> States:
        """Embeddings of `sequences`, those that open alike in one group; the last `own` of each are never shared."""
        groups = []
        for index, prefix in shared_prefixes(sequences, own):
            of = [sequences[i] for i in index]
            hidden = self.embedded([sequence[prefix:] for sequence in of])
            groups.append(StateGroup(index, of, self.embedded([of[0][:prefix]])[0][None], hidden))
        return States(0, groups)

    def embedded(self, sequences: Sequence[TokenIds]) -> list[Float[Tensor, "_ width"]]:
        """The embeddings of each sequence's tokens."""
        tokens = torch.tensor([token for sequence in sequences for token in sequence], device=self.device).long()
        return list(self.model.get_input_embeddings()(tokens).split([len(sequence) for sequence in sequences]))

    @torch.no_grad()
    def advance(self, states: States, layer: int) -> States:
        """The same conversations, further up: after `layer` layers."""
        if layer == states.layer:
            return states
        body, halving = self._slice(states.layer, layer), Halving()
        return States(layer, [advanced(body, group, halving) for group in states.groups])

    @property
    def reader(self) -> Decoder:
        """The model that reads conversations for this one."""
        return self

    def own(self, sequence: TokenIds) -> int:
        """At how many last positions of `sequence` this model is not its reader; at least the last."""
        return 1

    def read(self, sequences: Sequence[TokenIds]) -> Reading:
        """What all layers hold of `sequences` before the last position of each; kept for models that share it."""
        return self._remembered.recall(("read", tuple(sequences)), lambda: self._read(sequences), Reading.tensors)

    @torch.no_grad()
    def _read(self, sequences: Sequence[TokenIds]) -> Reading:
        check_asked(sequences, [1] * len(sequences))
        states = self.start(sequences, self.apart(sequences) + 1)
        body, halving = self._slice(0, self.depth), Halving()
        openings: list[Past] = []
        found: dict[int, tuple[int, Past]] = {}
        for group in states.groups:
            opening, pasts = read_group(body, group, halving)
            found |= {i: (len(openings), past) for i, past in zip(group.index, pasts, strict=True)}
            openings.append(opening)
        opening_of, rest = zip(*(found[i] for i in range(len(sequences))), strict=True)
        return Reading(openings, list(opening_of), list(rest), list(sequences))

    def apart(self, sequences: Sequence[TokenIds]) -> int:
        """At how many last positions this model may not treat all of `sequences` alike, even where they open alike."""
        return 1

    @torch.no_grad()
    def visit(
        self, sequences: Sequence[TokenIds], sites: Sequence[Site], positions: Sequence[Int[np.ndarray, "_"]]
    ) -> Iterator[tuple[list[int], dict[Site, Float[Tensor, "rows width"]]]]:
        """What is at `sites` at the given positions of each sequence, batch by batch: which sequences a batch has, and
        for each site their rows, one sequence after another. No layer above the last site is run.
        """
        check_sites(sites, self.depth)
        visit, halving = Visit(self, sequences, sites, positions), Halving()
        for index, prefix in shared_prefixes(sequences, visit.apart):
            group = visit.open(index, prefix)
            for batch, found in halving.run(batches_by_length(group.lengths), group.run, group.lengths):
                yield [index[i] for i in batch], found

    def last_states(
        self, sequences: Sequence[TokenIds], layers: Sequence[int]
    ) -> Float[Tensor, "sequences layers width"]:
        """The residual stream after each of `layers` at each sequence's last position; kept, being small."""
        key = ("last", tuple(layers), tuple(sequences))
        return self._remembered.recall(key, lambda: self._last_states(sequences, layers), lambda states: [states])

    def _last_states(self, sequences: Sequence[TokenIds], layers: Sequence[int]) -> Tensor:
        sites = [Site("residual", layer) for layer in layers]
        found: list[Any] = [None] * len(sequences)
        for batch, rows in self.visit(sequences, sites, [np.array([len(sequence) - 1]) for sequence in sequences]):
            for i, states in zip(batch, torch.stack([rows[site] for site in sites], dim=1), strict=True):
                found[i] = states
        return torch.stack(found)

    def answer_states(
        self, sequences: Sequence[TokenIds], layers: Sequence[int]
    ) -> Float[Tensor, "sequences layers width"]:
        """As `last_states`, over a reading of the sequences: that costs a pass through all layers, and serves whoever
        asks anything else of the same sequences, or of another model that shares it.
        """

        if min(map(len, sequences)) == 1:  # before its only token there is nothing to read
            return self.last_states(sequences, layers)

        def climb() -> Tensor:
            own = [self.own(sequence) for sequence in sequences]
            hidden = self.embedded(last_tokens(sequences, own))
            return self.at_end(self.reader.read(sequences), hidden, own, 0, layers)

        return self._remembered.recall(("answer", tuple(layers), tuple(sequences)), climb, lambda states: [states])

    def own_states(
        self, sequences: Sequence[TokenIds], own: Sequence[int], layer: int
    ) -> list[Float[Tensor, "own width"]]:
        """States after `layer` layers at the `own` last positions of each sequence; kept, as readings are."""

        def climb() -> list[Tensor]:
            hidden = self.embedded(last_tokens(sequences, own))
            return self.climb(self.read(sequences), hidden, own, [0, layer])[0] if layer else hidden

        return self._remembered.recall(("own", layer, tuple(own), tuple(sequences)), climb, list)

    def at_end(
        self,
        reading: Reading,
        hidden: Sequence[Float[Tensor, "_ width"]],
        own: Sequence[int],
        start: int,
        layers: Sequence[int],
    ) -> Float[Tensor, "sequences layers width"]:
        """Last-position states after each of `layers`, none of them below `start`, where `hidden` comes from."""
        upwards = sorted({layer for layer in layers if layer > start})
        found = dict(zip(upwards, self.climb(reading, hidden, own, [start, *upwards]), strict=True))
        if start in layers:  # apart: what enters the first layer has its positions added, which `hidden` has not
            [found[start]] = self.climb(reading, hidden, own, [start, start])
        return torch.stack([torch.stack([states[-1] for states in found[layer]]) for layer in layers], dim=1)

    @torch.no_grad()
    def climb(
        self,
        reading: Reading,
        hidden: Sequence[Float[Tensor, "_ width"]],
        own: Sequence[int],
        layers: Sequence[int],
    ) -> list[list[Float[Tensor, "_ width"]]]:
        """States after each but the first of `layers`, in ascending order, at the `own` last positions of what was read
        and behind; from those after the first, `hidden`.
        """
        bodies = [(layer, self._slice(layer, above)) for layer, above in pairwise(layers)]
        found: list[list[Any]] = [[None] * len(hidden) for _ in bodies]

        def run(rows: list[int]) -> list[list[Tensor]]:
            states, passed = [hidden[row] for row in rows], []
            for layer, body in bodies:
                out = run_own(body, reading, rows, states, [own[row] for row in rows], layer)
                states = [row[: len(before)] for row, before in zip(out, states, strict=True)]
                passed.append([row.clone() for row in states])
            return passed

        lengths = [len(sequence) for sequence in reading.sequences]
        for rows, passed in Halving().run(batches_by_length(lengths), run, lengths):
            for at_layer, of_batch in zip(found, passed, strict=True):
                for row, states in zip(rows, of_batch, strict=True):
                    at_layer[row] = states
        return found

    @torch.no_grad()
    def final(self, sequences: Sequence[TokenIds]) -> Float[Tensor, "sequences width"]:
        """Normalised last-layer state at the last position of each sequence, in float32."""
        return self.normed(self.answer_states(sequences, [self.depth])[:, 0])

    @torch.no_grad()
    def normed(self, last: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        """Last-layer states as the output matrix is given them, in float32."""
        normed: Tensor = getattr(self.body, self.family.norm)(last.to(self.head.dtype))
        return normed.float()

    def upper(self, layer: int) -> nn.Module:
        """The layers above `layer` with the final norm, as one module to be trained or run."""
        return self._slice(layer, self.depth, norm=True)

    def identity(self, layers: int) -> str:
        """Digest of all that states up to `layers` layers follow from."""
        return module_digest(self._slice(0, layers), self.model.config)

    def tapped(self, touches: Mapping[Site, Touch]) -> nn.Module:
        """The layers up to the last of these sites, with `touches` at work there."""
        top = max(1, *(site.layer for site in touches))  # what enters the first layer is seen as it does
        layers = [*self._passed[:top], *(SkippedLayer() for _ in self.layers[top:])]
        return self.body_of(tapped(layers, touches))

    def with_layers(self, layers: Sequence[nn.Module]) -> Any:
        """A copy of the transformers model that shares everything but the layers."""
        model, body = copy.copy(self.model), copy.copy(self.body)
        model._modules = {**self.model._modules, self.family.body: body}
        body._modules = {**self.body._modules, self.family.layers: nn.ModuleList(layers)}
        return model

    def _slice(self, start: int, stop: int, *, norm: bool = False) -> nn.Module:
        key = (start, stop + norm)
        if key not in self._slices:
            given = self.layers if norm else self._passed
            layers = [layer if start <= i < stop else SkippedLayer() for i, layer in enumerate(given)]
            self._slices[key] = self.body_of(layers, start=start, norm=norm)
        return self._slices[key]

    def body_of(self, layers: Sequence[nn.Module], *, start: int = 0, norm: bool = False) -> nn.Module:
        """A body of these layers only, which takes what comes out of the first `start`."""
        part: Any = copy.copy(self.body)
        part._modules = dict(self.body._modules)
        part._modules[self.family.layers] = nn.ModuleList(layers)
        if not norm:
            part._modules[self.family.norm] = nn.Identity()
        if start and self.family.positions:
            part._modules[self.family.positions] = NoPositions()
        found: nn.Module = part
        return found


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


def advanced(body: nn.Module, group: StateGroup, halving: Halving) -> StateGroup:
    """What `body` makes of a group, at every position."""
    prefix, recorder = run_prefix(body, group.prefix, group.sequences[0])
    cache, lengths = recorder.closed(), [len(hidden) for hidden in group.hidden]
    found: list[Any] = [None] * len(lengths)

    def run(batch: list[int]) -> Tensor:
        return run_batch(body, [group.hidden[i] for i in batch], cache, [group.sequences[i] for i in batch])

    for batch, out in halving.run(batches_by_length(lengths), run, lengths):
        for row, i in zip(out, batch, strict=True):
            found[i] = row[: lengths[i]].clone()
    return StateGroup(group.index, group.sequences, prefix, found)


def read_group(body: nn.Module, group: StateGroup, halving: Halving) -> tuple[Past, list[Past]]:
    """Keys and values of what a group shares, and of the rest of each conversation but its last position."""
    _, opening = run_prefix(body, group.prefix, group.sequences[0])
    cut = [len(hidden) - 1 for hidden in group.hidden]
    found: list[Any] = [None] * len(cut)

    def run(batch: list[int]) -> Tensor:
        cache = opening.closed()
        run_batch(body, [group.hidden[i][: cut[i]] for i in batch], cache, [group.sequences[i] for i in batch])
        return cache.recorded()

    for batch, pasts in halving.run(batches_by_length(cut), run, cut):
        for past, i in zip(pasts, batch, strict=True):
            found[i] = past[: cut[i]].clone()
    return opening.recorded()[0] if opening.latest else found[0][:0], found
