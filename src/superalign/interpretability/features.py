"""Sparse features of activations: a TopK autoencoder writes each as a few directions out of many, and a mean.

    autoencoder = train(harvest(decoder, sequences, [site], "all", folder=folder).shards(site), Training(features=4608))
    active = autoencoder.encode(rows)  # which features fire at each row, and how strongly

Gao et al. 2024, Scaling and evaluating sparse autoencoders (arXiv 2406.04093), section 2.3. It is trained by
`feature_training`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.models.harvest import write_tensors

ROWS = 8192  # encoded at a time


@dataclass(frozen=True)
class Active:
    """The features at work in each row, in no order; those that the row has no use for have the value 0."""

    index: Int[Tensor, "rows active"]
    value: Float[Tensor, "rows active"]


@dataclass(frozen=True)
class SparseAutoencoder:
    """x = mean + scale * (sum of the active features' values times their directions) + what is not explained.

    A feature's value is what its encoder row makes of (x - mean) / scale, where it is among the `active` largest and
    above 0. Directions, the rows of `decoder`, have length 1.
    """

    mean: Float[Tensor, "width"]
    scale: Float[Tensor, ""]
    encoder: Float[Tensor, "features width"]
    bias: Float[Tensor, "features"]
    decoder: Float[Tensor, "features width"]
    active: int

    def __len__(self) -> int:
        return len(self.encoder)

    def standardized(self, rows: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        """About the mean, and of mean squared length 1 where it was trained. InputError for rows of another width."""
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise InputError(
                f"Activations of shape {tuple(rows.shape)} do not fit features of width {len(self.mean)}.",
                fix="Give rows from the model and the site that the features were trained on.",
            )
        return (rows.to(self.mean) - self.mean) / self.scale

    @torch.no_grad()
    def encode(self, rows: Float[Tensor, "rows width"]) -> Active:
        """The features of each row; the same in any company but for rounding."""
        logits = (torch.addmm(self.bias, self.standardized(some), self.encoder.T) for some in rows.split(ROWS))
        values, indices = zip(*(largest(some, self.active) for some in logits), strict=True)
        return Active(torch.cat(indices), torch.cat(values).relu())

    @torch.no_grad()
    def decode(self, active: Active) -> Float[Tensor, "rows width"]:
        """What the features say of the rows that they were read from."""
        return self.mean + self.scale * Uses(active.index, len(self)).mixed(active.value, self.decoder)

    def explained_variance(self, shards: Sequence[Float[Tensor, "_ width"]]) -> float:
        """The share of the rows' variance about their own mean that is explained: 0 for one who says the mean of these
        rows each time. About zero, as some report it, the mean would count as explained.
        """
        count = sum(map(len, shards))
        mean = sum((shard.double().sum(0) for shard in shards), torch.zeros(())) / max(count, 1)
        parts = [rows for shard in shards for rows in shard.split(ROWS)]
        missed = sum(float((rows - self.decode(self.encode(rows))).double().square().sum()) for rows in parts)
        varies = sum(float((rows.double() - mean).square().sum()) for rows in parts)
        if not varies > 0:
            raise InputError("These activations do not vary.", fix="Give rows of several tokens.")
        return 1 - missed / varies

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        tensors = {name: getattr(self, name).contiguous() for name in TENSORS}
        write_tensors(path, {**tensors, "active": torch.tensor(self.active)})

    @classmethod
    def load(cls, path: Path) -> SparseAutoencoder:
        """What `save` wrote. InputError when it is missing, damaged or something else."""
        from safetensors.torch import load_file

        fix = "Train it again, or name a file that SparseAutoencoder.save wrote."
        try:
            tensors = load_file(path)
        except FileNotFoundError:
            raise InputError("There is no such file of features.", where=str(path), fix=fix) from None
        except Exception as error:  # safetensors raises its own type for a damaged file
            raise InputError(f"The features can't be read: {error}.", where=str(path), fix=fix) from None
        if missing := {*TENSORS, "active"} - set(tensors):
            raise InputError(f"The file lacks {', '.join(sorted(missing))}.", where=str(path), fix=fix)
        return cls(**{name: tensors[name] for name in TENSORS}, active=int(tensors["active"]))


TENSORS = ("mean", "scale", "encoder", "bias", "decoder")


def largest(values: Float[Tensor, "rows columns"], count: int) -> tuple[Tensor, Int[Tensor, "rows count"]]:
    """As `torch.topk` in no order, in less time: the more columns, the less.

    Columns are divided into groups. One of the `count` largest values can only lie in a group whose own largest value
    is among the `count` largest of these: else that many groups would each hold a value at least as large. So all other
    groups are left out.
    """
    rows, columns = values.shape
    most = max(1, isqrt(columns // count))  # as many groups as candidates in the end
    size = next(size for size in range(most, 0, -1) if columns % size == 0)
    if size == 1:
        return torch.topk(values, count, dim=1, sorted=False)
    groups = columns // size
    kept = values.view(rows, size, groups).amax(1).topk(count, dim=1, sorted=False).indices
    offsets = torch.arange(0, columns, groups, device=values.device)
    candidates = (kept[:, None, :] + offsets[:, None]).flatten(1)
    found = values.gather(1, candidates).topk(count, dim=1, sorted=False)
    return found.values, candidates.gather(1, found.indices)


class Uses:
    """Which features each row uses, and the products along these pairs alone: a hundredth of the dense ones."""

    def __init__(self, index: Int[Tensor, "rows active"], features: int) -> None:
        self.index, self.features = index, features
        rows, active = index.shape
        self._starts = torch.arange(0, rows * active + 1, active, device=index.device)
        flat = index.flatten()
        self._order = flat.int().argsort(stable=True)  # by feature, then by row
        counts = torch.bincount(flat, minlength=features)
        self._first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    def products(
        self, rows: Float[Tensor, "rows width"], directions: Float[Tensor, "features width"]
    ) -> Float[Tensor, "rows active"]:
        """Of each row with the directions of the features that it uses."""
        zeros = rows.new_zeros(self.index.numel())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR", UserWarning)  # that its interface may change
            pairs = torch.sparse_csr_tensor(
                self._starts, self.index.flatten(), zeros, (len(rows), self.features), check_invariants=False
            )
        found: Tensor = torch.sparse.sampled_addmm(pairs, rows, directions.T, beta=0).values()
        return found.view_as(self.index)

    def mixed(
        self, value: Float[Tensor, "rows active"], directions: Float[Tensor, "features width"]
    ) -> Float[Tensor, "rows width"]:
        """For each row the sum of its features' directions, each times its value."""
        if not len(value):
            return directions.new_empty(0, directions.shape[1])
        mixed: Tensor = nn.functional.embedding_bag(self.index, directions, per_sample_weights=value, mode="sum")
        return mixed

    def gathered(
        self, value: Float[Tensor, "rows active"], rows: Float[Tensor, "rows width"]
    ) -> Float[Tensor, "features width"]:
        """For each feature the sum of the rows that use it, each times the value there."""
        gathered: Tensor = nn.functional.embedding_bag(
            self._order // self.index.shape[1],
            rows,
            self._first,
            per_sample_weights=value.flatten()[self._order],
            mode="sum",
            include_last_offset=True,
        )
        return gathered

    def totals(self, value: Float[Tensor, "rows active"]) -> Float[Tensor, "features"]:
        """For each feature the sum of its values."""
        return value.new_zeros(self.features).index_add_(0, self.index.flatten(), value.flatten())
