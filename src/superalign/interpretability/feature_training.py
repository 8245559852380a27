"""Trains the sparse autoencoder of `features`, at nearly the cost of one dense product per step.

Of a dense step's six products (encoder and decoder, forward and twice backward) only the encoder's first needs every
feature: the rest of a TopK step concerns the few that are active, and takes a gather of their rows. So the gradient is
written out below instead of left to autograd, which would build it dense. Where bfloat16 is fast, the encoder's product
is made in it, and says only which features are the largest; their values, and all else, are float32. The floor is
2 x width x features FLOPs per row, against 12 x width x features of a dense step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.interpretability.features import SparseAutoencoder, Uses, largest
from superalign.runs.progress import advance

POOL_BYTES = 2**29  # of rows that are shuffled together
START = 0.03  # length of encoder rows at first, so that features learn from whole rows, not from what others leave
WARM_UP, DECAY = 0.05, 0.2  # shares of the steps in which the learning rate rises, and falls
# A feature is dead if it fires a thousand times less often than the average: such as are merely rare are many, and to
# start them anew as well left 0.24 unexplained where 0.07 was possible.
DEAD, REVIVED = 1000, 0.75  # up to this share of the steps, dead features are started anew


@dataclass(frozen=True)
class Training:
    """How features are found: how many, how many `active` in each row, on how many rows (again and again, if there are
    fewer). The learning rate is Adam's.
    """

    features: int
    active: int = 32
    rows: int = 2**20
    batch: int = 2048
    learning_rate: float = 6e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.active <= self.features:
            raise InputError(
                f"{self.active} of {self.features} features can't be active.", fix="Give `active` from 1 to `features`."
            )
        if not 0 < self.batch <= self.rows:
            raise InputError(
                f"{self.rows} rows make no batch of {self.batch}.", fix="Train on more rows, or in smaller batches."
            )

    @property
    def steps(self) -> int:
        return self.rows // self.batch

    def rate(self, step: int) -> float:
        """The learning rate: rises at first, falls to zero at the end."""
        rising = (step + 1) / max(1.0, WARM_UP * self.steps)
        falling = (self.steps - step) / max(1.0, DECAY * self.steps)
        return self.learning_rate * min(1.0, rising, falling)


def train(shards: Sequence[Float[Tensor, "_ width"]], training: Training) -> SparseAutoencoder:
    """The features of these activations (a harvest's `shards`), the same for the same seed, machine and threads.

    InputError when there are no rows, they do not vary, or some are not finite.
    """
    mean, scale = moments(shards)
    generator = torch.Generator().manual_seed(training.seed)
    learner = Learner(started(mean, scale, training, generator))
    every = DEAD * training.features // (training.active * training.batch) + 1
    for step, rows in zip(range(training.steps), batches(shards, training.batch, generator), strict=False):
        standard = learner.autoencoder.standardized(rows)
        missed = learner.step(standard, training.rate(step))
        if (step + 1) % every == 0 and step < training.steps * REVIVED:
            learner.revive(missed, generator)
        advance(step + 1, training.steps)
    return learner.autoencoder


class Learner:
    """An autoencoder in training. Rows are given standardized."""

    def __init__(self, autoencoder: SparseAutoencoder) -> None:
        self.autoencoder = autoencoder
        self.trained = [autoencoder.encoder, autoencoder.bias, autoencoder.decoder]
        self.optimizer = torch.optim.Adam(self.trained, fused=True)
        self.fired: Bool[Tensor, "features"] = torch.zeros_like(autoencoder.bias, dtype=torch.bool)
        self.quick = quick_type(autoencoder.bias.device)

    @torch.no_grad()
    def step(self, rows: Float[Tensor, "rows width"], rate: float) -> Float[Tensor, "rows width"]:
        """One step down. Returns what was left unexplained of each row before it."""
        missed = self.gradients(rows)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        decoder = self.autoencoder.decoder
        decoder /= torch.linalg.vector_norm(decoder, dim=1, keepdim=True)
        return missed

    @torch.no_grad()
    def gradients(self, rows: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        """Put the gradient of the mean squared length of what is unexplained where the optimizer looks for it."""
        encoder, bias, decoder = self.trained
        logits = nn.functional.linear(*(part.to(self.quick) for part in (rows, encoder, bias)))
        uses = Uses(largest(logits, self.autoencoder.active)[1], len(encoder))
        value = (uses.products(rows, encoder) + bias[uses.index]).relu()
        missed = rows - uses.mixed(value, decoder)
        pull = missed * (-2 / len(rows))
        slope = uses.products(pull, decoder) * (value > 0)
        encoder.grad, decoder.grad = uses.gathered(slope, rows), uses.gathered(value, pull)
        bias.grad = uses.totals(slope)
        self.fired[uses.index[value > 0]] = True
        return missed

    @torch.no_grad()
    def revive(self, missed: Float[Tensor, "rows width"], generator: torch.Generator) -> int:
        """Point features that have not fired since the last time at what is unexplained; returns how many.

        Bricken et al. 2023, Towards Monosemanticity: rows are drawn by their squared loss. Gao et al. use an auxiliary
        loss instead, whose sparse part is ten times as large as all that is computed here.
        """
        encoder, bias, decoder = self.trained
        dead = (~self.fired).nonzero()[:, 0][: len(missed)]
        loss = missed.square().sum(1).cpu()
        dead = dead[: int((loss > 0).sum())]
        if len(dead):
            drawn = torch.multinomial(loss, len(dead), generator=generator).to(missed.device)
            size = torch.linalg.vector_norm(encoder[self.fired], dim=1).mean() if self.fired.any() else 1.0
            decoder[dead] = nn.functional.normalize(missed[drawn], dim=1)
            encoder[dead], bias[dead] = decoder[dead] * size, 0.0
            for part in self.trained:
                for moment in ("exp_avg", "exp_avg_sq"):
                    self.optimizer.state[part][moment][dead] = 0.0
        self.fired.zero_()
        return len(dead)


def started(
    mean: Float[Tensor, "width"], scale: Float[Tensor, ""], training: Training, generator: torch.Generator
) -> SparseAutoencoder:
    """Random directions, and an encoder that reads, weakly, what the decoder writes."""
    directions = torch.randn(training.features, len(mean), generator=generator)
    decoder = nn.functional.normalize(directions, dim=1).to(mean.device)
    bias = torch.zeros(training.features, device=mean.device)
    return SparseAutoencoder(mean, scale, START * decoder, bias, decoder, training.active)


def moments(shards: Sequence[Float[Tensor, "_ width"]]) -> tuple[Float[Tensor, "width"], Float[Tensor, ""]]:
    """The rows' mean, and the root of their mean squared distance from it."""
    count = sum(map(len, shards))
    if not count:
        raise InputError("There are no activations to find features in.", fix="Harvest some.")
    mean = sum((shard.double().sum(0) for shard in shards[1:]), shards[0].double().sum(0)) / count
    square = torch.stack([(shard.double() - mean).square().sum() for shard in shards]).sum() / count
    if not torch.isfinite(square):
        raise InputError("Some activations are not finite.", fix="Leave those out.")
    if not square > 0:
        raise InputError("These activations do not vary.", fix="Give rows of several tokens.")
    return mean.float(), square.sqrt().float()


def batches(
    shards: Sequence[Float[Tensor, "_ width"]], size: int, generator: torch.Generator
) -> Iterator[Float[Tensor, "size width"]]:
    """Rows without end, in another order each time round. Shards that lie on disk are read one pool at a time: all rows
    of a pool are shuffled, and which shards it has is drawn anew each time.
    """
    left = shards[0][:0]
    while True:
        for pool in pools([shards[i] for i in torch.randperm(len(shards), generator=generator).tolist()]):
            rows = torch.cat([left, *pool])
            order = torch.randperm(len(rows), generator=generator).to(rows.device).split(size)
            whole = order if len(order[-1]) == size else order[:-1]
            for chosen in whole:
                yield rows[chosen]
            left = rows[order[-1]] if len(whole) < len(order) else rows[:0]


def pools(shards: Sequence[Float[Tensor, "_ width"]]) -> Iterator[list[Float[Tensor, "_ width"]]]:
    """Consecutive shards, as many as fit into memory for sure; at least one."""
    pool: list[Tensor] = []
    for shard in shards:
        if pool and sum(each.nbytes for each in (*pool, shard)) > POOL_BYTES:
            yield pool
            pool = []
        pool.append(shard)
    yield pool


def quick_type(device: torch.device) -> torch.dtype:
    """What matrix products are fastest in."""
    if device.type == "cpu":
        return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
    return torch.bfloat16
