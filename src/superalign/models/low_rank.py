"""A frozen linear layer and a trainable one of low rank beside it (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


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
