"""Low-rank adapters on the upper layers of a decoder, saved in the format of the `peft` package.

Hu et al. 2021 (arXiv 2106.09685): W x + (alpha / r) B A x, with B = 0 at the start. The adapted model shares every
frozen tensor with its base, so a second model costs only its adapters.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from superalign.contracts.errors import ModelError
from superalign.models.decoder import Decoder

# Measured at 135M on 2 cores: adapting these four learns as well as all seven linear layers, at 0.8 of the time per
# step.
TARGETS = ("q_proj", "v_proj", "o_proj", "down_proj")
PEFT_PREFIX = "base_model.model.model.layers"


class LowRankLinear(nn.Module):
    """A frozen linear layer plus a trainable low-rank one. Adapters are float32, products run in the input's type."""

    def __init__(self, frozen: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.frozen = frozen
        self.scale = alpha / rank
        out_features, in_features = frozen.weight.shape
        noise = torch.randn(rank, in_features, generator=generator) / in_features**0.5
        self.lora_A = nn.Parameter(noise.to(frozen.weight.device))
        self.lora_B = nn.Parameter(torch.zeros(out_features, rank, device=frozen.weight.device))

    def forward(self, x: Float[Tensor, "batch tokens inputs"]) -> Float[Tensor, "batch tokens outputs"]:
        rows = x.flatten(0, -2)
        low = rows @ (self.lora_A * self.scale).to(x.dtype).T
        out = torch.addmm(F.linear(rows, self.frozen.weight, self.frozen.bias), low, self.lora_B.to(x.dtype).T)
        return out.view(*x.shape[:-1], -1)


class AdaptedDecoder(Decoder):
    """A decoder whose layers from `first_layer` up carry adapters; below, it is its base."""

    def __init__(self, base: Decoder, *, first_layer: int, rank: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        model = copy.copy(base.model)
        model._modules = dict(base.model._modules)
        body = copy.copy(base.body)
        body._modules = dict(base.body._modules)
        body._modules["layers"] = nn.ModuleList(
            layer if i < first_layer else adapt(layer, rank, generator) for i, layer in enumerate(base.body.layers)
        )
        model._modules["model"] = body
        super().__init__(model)
        self.base = base
        self.first_layer, self.rank = first_layer, rank

    def adapters(self) -> dict[str, nn.Parameter]:
        """Trainable tensors by their name in peft's format."""
        found: dict[str, nn.Parameter] = {}
        for i, layer in enumerate(self.body.layers):
            for name, module in layer.named_modules():
                if isinstance(module, LowRankLinear):
                    found[f"{PEFT_PREFIX}.{i}.{name}.lora_A.weight"] = module.lora_A
                    found[f"{PEFT_PREFIX}.{i}.{name}.lora_B.weight"] = module.lora_B
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
            "lora_alpha": 2 * self.rank,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": list(TARGETS),
            "layers_to_transform": list(range(self.first_layer, self.depth)),
            "inference_mode": True,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True))

    @classmethod
    def load(cls, base: Decoder, folder: Path) -> AdaptedDecoder:
        """What `save` wrote, on `base`. ModelError when it is damaged or does not fit."""
        try:
            config = json.loads((folder / "adapter_config.json").read_text())
            tensors = load_file(folder / "adapter_model.safetensors")
            found = cls(base, first_layer=min(config["layers_to_transform"]), rank=config["r"])
        except Exception as error:  # safetensors and json raise their own types; all mean a damaged file
            raise ModelError(f"The adapter can't be read: {error}.", where=str(folder)) from None
        own = found.adapters()
        if {name: tensor.shape for name, tensor in own.items()} != {name: t.shape for name, t in tensors.items()}:
            raise ModelError("The adapter's tensors are not those of its configuration.", where=str(folder))
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(tensors[name]).requires_grad_(False)
        return found


def adapt(layer: nn.Module, rank: int, generator: torch.Generator) -> nn.Module:
    """A copy of `layer` that shares its frozen tensors, with adapters on its TARGETS."""
    adapted = copy.copy(layer)
    adapted._modules = dict(layer._modules)
    for name, child in layer._modules.items():
        if child is None:
            continue
        if name in TARGETS and isinstance(child, nn.Linear):
            adapted._modules[name] = LowRankLinear(child, rank, 2 * rank, generator)
        elif child._modules:
            adapted._modules[name] = adapt(child, rank, generator)
    return adapted
