"""Linear layers as this machine multiplies fastest: forward, and backward to their inputs; their weights are frozen.

torch leaves float32 products on a processor to MKL, which on AMD's reaches 80 GFLOP/s where oneDNN reaches 180 (4,096
tokens of width 576, 2 cores). In bfloat16 it takes oneDNN itself. Products of a few rows wait for the weights: if these
lie in memory as oneDNN reads them, they take half as long.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from superalign.models.low_rank import LowRankLinear

PACKED_BYTES = 2**31


class OneDnnLinear(nn.Module):
    """A frozen linear layer, multiplied by oneDNN; `packed` lays its weight out anew, beside the one it has."""

    def __init__(self, plain: nn.Linear, *, packed: bool) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias
        weight = plain.weight.detach()
        self.laid_out = torch.ops.mkldnn._reorder_linear_weight(weight, 32) if packed else weight

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        if torch.is_grad_enabled() and x.requires_grad:
            passed: Tensor = _ToItsInput.apply(x, self.laid_out, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return passed
        return _product(x, self.laid_out, self.bias)


class _ToItsInput(torch.autograd.Function):
    """A product that oneDNN, which knows no gradients, makes both ways."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, laid_out: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight
        return _product(x, laid_out, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _product(gradients[0].contiguous(), ctx.weight.detach().T, None), None, None, None


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def can_use_onednn(weight: Tensor) -> bool:
    """Whether oneDNN multiplies weights of this type on this device."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    bfloat16: bool = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return bfloat16 or weight.dtype == torch.float32


def can_pack(weights: Iterable[Tensor]) -> bool:
    """Whether oneDNN multiplies weights like these, and there is room for them twice."""
    found = list(weights)
    return can_use_onednn(found[0]) and sum(weight.nbytes for weight in found) <= PACKED_BYTES


def by_onednn(module: nn.Module, *, packed: bool) -> nn.Module:
    """A copy of `module` that shares its weights, with every plain linear layer multiplied by oneDNN."""
    if type(module) is nn.Linear:
        return OneDnnLinear(module, packed=packed)
    if isinstance(module, LowRankLinear) or not module._modules:
        return module
    copied = copy.copy(module)
    copied._modules = {name: child and by_onednn(child, packed=packed) for name, child in module._modules.items()}
    return copied
