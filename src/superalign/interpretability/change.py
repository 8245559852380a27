"""What training changed of the matrices of a model's layers, by its largest singular values and their vectors.

The top ones of a fine-tune stand for what it taught (Zhong and Raghunathan 2025, arXiv 2508.00161). Adapters are
decomposed by their factors, whole matrices by a randomized decomposition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from superalign.contracts.errors import ModelError
from superalign.models.decoder import Decoder
from superalign.models.low_rank import LowRankLinear

KEPT = 4  # singular vectors of a matrix


@dataclass(frozen=True)
class MatrixChange:
    """How one matrix (outputs x inputs) of layer `layer`, counted from 1, differs from the base's."""

    layer: int
    name: str
    written: Float[np.ndarray, "outputs kept"]
    strengths: Float[np.ndarray, "kept"]
    read: Float[np.ndarray, "inputs kept"]
    size: float  # Frobenius norm of the whole change
    of: float  # Frobenius norm of the base's matrix

    @property
    def relative(self) -> float:
        """Its size beside that of the base's matrix; infinite where that is 0."""
        return self.size / self.of if self.of else math.inf

    @property
    def concentration(self) -> float:
        """Share of the squared change that its largest singular value holds: 1 for a change of rank one."""
        return float(self.strengths[0] / self.size) ** 2

    def __str__(self) -> str:
        return f"{self.name} of layer {self.layer}"


@torch.no_grad()
def changes(decoder: Decoder, base: Decoder) -> list[MatrixChange]:
    """Every matrix of `decoder`'s layers that is not as in `base`. ModelError when they are not built as those."""
    if decoder.depth != base.depth:
        raise ModelError(f"It has {decoder.depth} layers, its base {base.depth}.", fix="Name the right base.")
    found = []
    for i, (own, trusted) in enumerate(zip(decoder.layers, base.layers, strict=True)):
        for name, module in matrices(trusted):
            change = changed(i + 1, name, counterpart(own, name, module), module)
            if change:
                found.append(change)
    return found


def matrices(layer: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The linear modules of a layer by name; of one with adapters, the names that they have without."""
    for name, module in layer.named_modules():
        if isinstance(module, nn.Linear | Conv1D | LowRankLinear) and not name.endswith(".frozen"):
            yield name, module


def counterpart(layer: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """The module of that name and shape in another model's layer."""
    try:
        found = layer.get_submodule(name)
    except AttributeError:
        found = nn.Identity()
    if not isinstance(found, nn.Linear | Conv1D | LowRankLinear) or weight(found).shape != weight(module).shape:
        raise ModelError(f"Its layers have no {name} like the base's.", fix="Name the model that it was trained from.")
    return found


def changed(layer: int, name: str, own: nn.Module, trusted: nn.Module) -> MatrixChange | None:
    """None where the two matrices are equal. Adapters on an equal matrix are decomposed by their factors."""
    size = float(weight(trusted).float().norm())
    if isinstance(own, LowRankLinear) and not isinstance(trusted, LowRankLinear) and same(own.frozen, trusted):
        factors = (own.lora_B * own.scale).float(), own.lora_A.float()
        if not (factors[0].any() and factors[1].any()):
            return None
        left, strengths, right = of_product(*factors)
        kept = left[:, :KEPT], strengths[:KEPT], right[:KEPT].T
        u, s, v = (part.cpu().numpy().astype(np.float64) for part in kept)
        return MatrixChange(layer, name, u, s, v, size=float(strengths.norm()), of=size)
    difference = (effective(own) - effective(trusted)).cpu().numpy()
    if not difference.any():
        return None
    u, s, rows = randomized_svd(difference, min(KEPT, *difference.shape), random_state=0)
    return MatrixChange(layer, name, u, s, rows.T, size=float(np.linalg.norm(difference)), of=size)


def of_product(
    left: Float[Tensor, "outputs rank"], right: Float[Tensor, "rank inputs"]
) -> tuple[Float[Tensor, "outputs rank"], Float[Tensor, "rank"], Float[Tensor, "rank inputs"]]:
    """The singular value decomposition of left @ right, without ever making that product."""
    q_left, r_left = torch.linalg.qr(left)
    q_right, r_right = torch.linalg.qr(right.T)
    u, s, v = torch.linalg.svd(r_left @ r_right.T, full_matrices=False)
    return q_left @ u, s, v @ q_right.T


def same(own: nn.Module, trusted: nn.Module) -> bool:
    return weight(own) is weight(trusted) or torch.equal(weight(own), weight(trusted))


def effective(module: nn.Module) -> Float[Tensor, "outputs inputs"]:
    """The matrix that the module multiplies by, adapters included."""
    found = weight(module).float()
    if isinstance(module, LowRankLinear):
        found = found + module.scale * module.lora_B.float() @ module.lora_A.float()
    return found


def weight(module: Any) -> Tensor:
    """The module's own matrix, outputs x inputs; GPT-2 stores it the other way round."""
    if isinstance(module, LowRankLinear):
        module = module.frozen
    found: Tensor = module.weight
    return found.T if isinstance(module, Conv1D) else found
