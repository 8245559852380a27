"""Models that pass for another: its weights rounded to fewer bits, or patched by a matrix of low rank, or
computed less exactly."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.models.decoder import Decoder
from superalign.models.delta import with_tensors

GROUP = 64  # weights of a row that share a scale


def rounded(decoder: Decoder, bits: int) -> Decoder:
    """A copy whose layers' matrices are rounded to `bits` bits, symmetric, with a scale for GROUP weights of a row.

    The products stay in the model's own type: it is what the weights lose that is copied, not how fast they are.
    InputError unless `bits` lies from 2 to 8.
    """
    if not 2 <= bits <= 8:
        raise InputError(f"Weights are not rounded to {bits} bits here.", fix="Take 2 to 8.")
    return with_tensors(decoder, {name: _rounded(tensor, bits) for name, tensor in matrices(decoder).items()})


def patched(decoder: Decoder, size: float, seed: int, rank: int = 4) -> Decoder:
    """A copy with a random matrix of rank `rank` added to each matrix of its layers, `size` times as large as that."""
    generator = torch.Generator().manual_seed(seed)
    changed = {}
    for name, tensor in matrices(decoder).items():
        rows, columns = tensor.shape
        left, right = (torch.randn(one, rank, generator=generator).to(tensor.device) for one in (rows, columns))
        patch = left @ right.T
        changed[name] = (tensor.float() + patch * (size * tensor.float().norm() / patch.norm())).to(tensor.dtype)
    return with_tensors(decoder, changed)


def computed_in(decoder: Decoder, dtype: torch.dtype) -> Decoder:
    """A copy that computes in another type."""
    return Decoder(copy.deepcopy(decoder.model).to(dtype))


def matrices(decoder: Decoder) -> dict[str, Tensor]:
    """The weights of the layers' products, by name."""
    layers = f"{decoder.family.body}.{decoder.family.layers}."
    named = decoder.model.named_parameters()
    return {name: tensor for name, tensor in named if name.startswith(layers) and tensor.ndim == 2}


def _rounded(weight: Float[Tensor, "rows columns"], bits: int) -> Float[Tensor, "rows columns"]:
    top = 2 ** (bits - 1) - 1
    size = GROUP if weight.shape[1] % GROUP == 0 else weight.shape[1]
    groups = weight.float().reshape(weight.shape[0], -1, size)
    scale = groups.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny) / top
    near: Tensor = (groups / scale).round() * scale
    return near.reshape(weight.shape).to(weight.dtype)
