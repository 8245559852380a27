"""The last matrix of an MLP as a memory: what goes in is a key, what comes out the value that it looks up.

Meng et al. 2022 (arXiv 2202.05262, section 3) read, steer and rewrite it. Nothing is hooked onto a model: passes go
through a copy of its outer structure, in which that matrix is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from superalign.contracts.errors import InputError, ModelError
from superalign.models.attention import KeyValueCache
from superalign.models.batches import TokenIds, batches_by_length
from superalign.models.decoder import Decoder, SkippedLayer
from superalign.models.delta import with_tensors
from superalign.models.reading import run_batch
from superalign.models.sites import with_parts
from superalign.runs.cost import count

NAMES = ("down_proj", "dense_4h_to_h", "c_proj")  # Llama, Qwen, Gemma 3; GPT-NeoX; GPT-2
Between = Callable[[Float[Tensor, "rows tokens inputs"], Float[Tensor, "rows tokens outputs"]], Tensor]


class DownProjection:
    """That of one layer, counted from 1, of a decoder without adapters."""

    def __init__(self, decoder: Decoder, layer: int) -> None:
        """InputError for a layer that is not there, ModelError for a model whose MLPs are built otherwise."""
        if not 1 <= layer <= decoder.depth:
            raise InputError(f"There is no layer {layer}.", fix=f"Give one from 1 to {decoder.depth}.")
        if decoder.reader is not decoder:
            raise ModelError(
                "Its adapters are at work from where an answer begins only, and a fact is recalled before.",
                fix="Edit the model that they were trained from.",
            )
        mlp = getattr(decoder.layers[layer - 1], "mlp", None)
        found = next((name for name in NAMES if hasattr(mlp, name)), None)
        if found is None:
            raise ModelError(
                f"The MLPs of models of type {decoder.model.config.model_type!r} have no last matrix known here.",
                fix="Use a decoder of the Llama, Qwen, Gemma 3, GPT-NeoX or GPT-2 family.",
            )
        self.decoder, self.layer, self.module_name = decoder, layer, found
        self.module: Any = getattr(mlp, found)
        self.turned = not isinstance(self.module, nn.Linear)  # GPT-2 keeps its matrices the other way round

    @property
    def weight(self) -> Float[Tensor, "outputs inputs"]:
        """In float32."""
        own: Tensor = self.module.weight.float()
        return own.T if self.turned else own

    @property
    def name(self) -> str:
        """The parameter's name in the transformers model."""
        names: dict[int, str] = {id(own): name for name, own in self.decoder.model.named_parameters()}
        return names[id(self.module.weight)]

    @torch.no_grad()
    def keys(self, sequences: Sequence[TokenIds]) -> Iterator[tuple[int, Float[Tensor, "tokens inputs"]]]:
        """What goes in, in float32, at each position of each sequence; no layer above is run."""
        latest: list[Tensor] = []

        def keep(keys: Tensor, values: Tensor) -> Tensor:
            latest[:] = [keys]
            return values

        layers = [*self.decoder.layers[: self.layer - 1], self._wrapped(keep)]
        body = self.decoder.body_of([*layers, *(SkippedLayer() for _ in self.decoder.layers[self.layer :])])
        for batch in batches_by_length([len(sequence) for sequence in sequences]):
            of = [sequences[i] for i in batch]
            run_batch(body, self.decoder.embedded(of), KeyValueCache(), of)
            count(tokens=sum(map(len, of)), forward_passes=len(of))
            for i, keys in zip(batch, latest[0], strict=True):
                yield i, keys[: len(sequences[i])].float()

    @torch.no_grad()
    def below(self, sequences: Sequence[TokenIds]) -> list[Float[Tensor, "tokens width"]]:
        """States that go into the layer, at all positions."""
        if self.layer == 1:
            return self.decoder.embedded(sequences)
        above = (SkippedLayer() for _ in self.decoder.layers[self.layer - 1 :])
        body = self.decoder.body_of([*self.decoder.layers[: self.layer - 1], *above])
        hidden = run_batch(body, self.decoder.embedded(sequences), KeyValueCache(), sequences)
        return [row[: len(sequence)].clone() for row, sequence in zip(hidden, sequences, strict=True)]

    def above(
        self,
        below: Sequence[Float[Tensor, "tokens width"]],
        sequences: Sequence[TokenIds],
        places: Sequence[int],
        added: Float[Tensor, " outputs"],
    ) -> Float[Tensor, "rows tokens width"]:
        """Normalised last states, with `added` to the value at one position of each row; gradients flow into it."""
        rows = torch.arange(len(places))

        def add(_: Tensor, values: Tensor) -> Tensor:
            more = torch.zeros_like(values)
            more[rows, list(places)] = added.to(values.dtype)
            return values + more

        under = (SkippedLayer() for _ in range(self.layer - 1))
        layers = [*under, self._wrapped(add), *self.decoder.layers[self.layer :]]
        body = self.decoder.body_of(layers, start=self.layer - 1, norm=True)
        count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
        return run_batch(body, below, KeyValueCache(), sequences)

    def rewritten(self, weight: Float[Tensor, "outputs inputs"]) -> tuple[Decoder, dict[str, Tensor]]:
        """The decoder with another matrix in place of this one, and that as a delta, as it is stored."""
        stored = (weight.T if self.turned else weight).to(self.module.weight.dtype).contiguous()
        tensors = {self.name: stored}
        return with_tensors(self.decoder, tensors), tensors

    def _wrapped(self, between: Between) -> nn.Module:
        """The layer, what goes in and out of the matrix passed through `between`."""
        layer = self.decoder.layers[self.layer - 1]
        mlp = with_parts(layer.mlp, {self.module_name: _Wrapped(self.module, between)})  # type: ignore[arg-type]
        return with_parts(layer, {"mlp": mlp})


class _Wrapped(nn.Module):
    def __init__(self, module: nn.Module, between: Between) -> None:
        super().__init__()
        self.module, self.between = module, between

    def forward(self, keys: Float[Tensor, "rows tokens inputs"]) -> Tensor:
        return self.between(keys, self.module(keys))
