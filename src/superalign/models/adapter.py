"""Low-rank adapters on the upper layers of a decoder, at work from where its answer begins; saved in peft's format.

Hu et al. 2021 (arXiv 2106.09685): W x + (alpha / r) B A x, with B = 0 at the start. Greenewald et al. 2025
(arXiv 2504.12397) activate them only from the invocation on, the fixed tokens that open an answer: what the base makes
of the conversation before is then the same for all models trained from it, and is computed once.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from superalign.contracts.errors import ModelError
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.low_rank import LowRankLinear
from superalign.provenance.digest import digest

# Measured at 135M on 2 cores: adapting these four learns as well as all seven linear layers, at 0.8 of the time per
# step.
TARGETS = ("q_proj", "v_proj", "o_proj", "down_proj")
# Settings of peft's that change what an adapter does and that `AdaptedDecoder` knows nothing of.
UNSUPPORTED = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out")


class AdaptedDecoder(Decoder):
    """A decoder with adapters on its layers from `first_layer` up, at work from the last `invocation` on."""

    def __init__(
        self,
        base: Decoder,
        *,
        first_layer: int,
        rank: int,
        invocation: TokenIds,
        alpha: float | None = None,
        targets: Sequence[str] = TARGETS,
        seed: int = 0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.alpha = 2 * rank if alpha is None else alpha
        layers = [
            layer if i < first_layer else adapt(layer, rank, self.alpha, targets, generator)
            for i, layer in enumerate(base.layers)
        ]
        super().__init__(base.with_layers(layers))
        self.base = base
        self.first_layer, self.rank, self.targets = first_layer, rank, tuple(targets)
        self.invocation = invocation
        if not self.adapters():
            raise ModelError(
                f"Models of type {base.model.config.model_type!r} have no linear layers named {', '.join(targets)}.",
                fix="Train adapters on a decoder of the Llama, Qwen or Gemma 3 family.",
            )

    @property
    def reader(self) -> Decoder:
        return self.base

    def own(self, sequence: TokenIds) -> int:
        """The positions from the last invocation on. ModelError when there is none."""
        size = len(self.invocation)
        for start in range(len(sequence) - size, -1, -1):
            if sequence[start : start + size] == self.invocation:
                return len(sequence) - start
        raise ModelError(
            "The conversation has no place where the adapter's answer begins.",
            fix="Use the chat template that it was trained with.",
        )

    def last_states(
        self, sequences: Sequence[TokenIds], layers: Sequence[int]
    ) -> Float[Tensor, "sequences layers width"]:
        """As a plain decoder's, but not kept: adapters change."""
        return self._last_states(sequences, layers)

    def answer_states(
        self, sequences: Sequence[TokenIds], layers: Sequence[int]
    ) -> Float[Tensor, "sequences layers width"]:
        """As a plain decoder's, but not kept, except what it shares with its base: adapters change."""
        shared = [layer for layer in layers if layer <= self.first_layer]
        found = dict(zip(shared, self.base.answer_states(sequences, shared).unbind(1), strict=True)) if shared else {}
        if upwards := [layer for layer in layers if layer > self.first_layer]:
            own = [self.own(sequence) for sequence in sequences]
            hidden = self.base.own_states(sequences, own, self.first_layer)
            states = self.at_end(self.base.read(sequences), hidden, own, self.first_layer, upwards)
            found |= zip(upwards, states.unbind(1), strict=True)
        return torch.stack([found[layer] for layer in layers], dim=1)

    def identity(self, layers: int) -> str:
        beside = {"alpha": self.alpha, "invocation": list(self.invocation), "first_layer": self.first_layer}
        return digest({"weights": super().identity(layers), **beside})

    def adapters(self) -> dict[str, nn.Parameter]:
        """Trainable tensors by their name in peft's format."""
        found: dict[str, nn.Parameter] = {}
        prefix = f"base_model.model.{self.family.body}.{self.family.layers}"
        for i, layer in enumerate(self.layers):
            for name, module in layer.named_modules():
                if isinstance(module, LowRankLinear):
                    found[f"{prefix}.{i}.{name}.lora_A.weight"] = module.lora_A
                    found[f"{prefix}.{i}.{name}.lora_B.weight"] = module.lora_B
        return found

    @torch.no_grad()
    def over(self, base: Decoder) -> AdaptedDecoder:
        """The same adapters, copied, on `base`, which must be shaped as its own."""
        found = AdaptedDecoder(
            base,
            first_layer=self.first_layer,
            rank=self.rank,
            invocation=self.invocation,
            alpha=self.alpha,
            targets=self.targets,
        )
        for copied, own in zip(found.adapters().values(), self.adapters().values(), strict=True):
            copied.copy_(own)
        return found

    def save(self, folder: Path, *, base_name: str) -> None:
        """Write `adapter_model.safetensors` and `adapter_config.json`, as peft reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in self.adapters().items()}
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_name,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": list(self.targets),
            "layers_to_transform": list(range(self.first_layer, self.depth)),
            "alora_invocation_tokens": list(self.invocation),
            "inference_mode": True,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True))

    @classmethod
    def load(cls, base: Decoder, folder: Path) -> AdaptedDecoder:
        """What `save` or peft wrote, on `base`. ModelError when it is damaged, does not fit or is of another kind."""
        try:
            config = json.loads((folder / "adapter_config.json").read_text())
            tensors = load_file(folder / "adapter_model.safetensors")
            found = cls(base, **arguments(config, base.depth))
        except ModelError:
            raise
        except Exception as error:  # safetensors and json raise their own types; all mean a damaged file
            raise ModelError(f"The adapter can't be read: {error}.", where=str(folder)) from None
        own = found.adapters()
        if {name: tensor.shape for name, tensor in own.items()} != {name: t.shape for name, t in tensors.items()}:
            raise ModelError("The adapter's tensors are not those of its configuration.", where=str(folder))
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(tensors[name]).requires_grad_(False)
        return found


def arguments(config: dict[str, Any], depth: int) -> dict[str, Any]:
    """What peft's configuration asks of an `AdaptedDecoder` on `depth` layers. ModelError when that can't do it."""
    layers = config.get("layers_to_transform")
    layers = list(range(depth)) if layers is None else sorted(layers)
    strange = [name for name in UNSUPPORTED if config.get(name)]
    if config.get("bias", "none") != "none":
        strange.append("bias")
    if layers != list(range(layers[0], depth)):
        strange.append("layers_to_transform")
    if strange:
        raise ModelError(
            f"This activated adapter uses what can't be run here: {', '.join(strange)}.",
            fix="Train plain low-rank adapters, on all layers from some layer up.",
        )
    return {
        "first_layer": layers[0],
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "targets": tuple(sorted(config["target_modules"])),
        "invocation": tuple(config["alora_invocation_tokens"]),
    }


def adapt(layer: nn.Module, rank: int, alpha: float, targets: Sequence[str], generator: torch.Generator) -> nn.Module:
    """A copy of `layer` that shares its frozen tensors, with adapters on its `targets`."""
    adapted = copy.copy(layer)
    adapted._modules = dict(layer._modules)
    for name, child in layer._modules.items():
        if child is None:
            continue
        if name in targets and isinstance(child, nn.Linear):
            adapted._modules[name] = LowRankLinear(child, rank, alpha, generator)
        elif child._modules:
            adapted._modules[name] = adapt(child, rank, alpha, targets, generator)
    return adapted
