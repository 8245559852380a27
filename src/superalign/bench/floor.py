"""How fast a piece of work could be on this machine, and where the time of ours goes.

The floor by FLOPs is what the work needs at least, divided by what matrix products of its shapes attain here in the
same run; the floor by bytes is what must pass through memory, divided by what reading or copying attains. Nobody can be
faster than the larger of the two without doing less, or with other numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity
from torch.profiler import profile as traced
from torch.utils.flop_counter import FlopCounterMode

from superalign.bench.machine import synchronize
from superalign.bench.records import Profile
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder

Shape = tuple[int, int, int]  # rows, inner, columns of a matrix product
TRY_SECONDS = 0.3  # for which a product or a copy is repeated, and the fastest counts
ROWS = 2048  # of a product that is large enough to show what the machine can do
BUFFER_BYTES = 2**28  # beyond any cache

PRODUCTS, ATTENTION, FACTORS = "matrix products", "attention", "eigendecomposition"
ELSE, OUTSIDE = "norms, rotary, activations, copies", "dispatch, Python, waiting"
# Which part an operation of torch belongs to, by the beginning of its name; ELSE when none fits.
PARTS = {
    "aten::mm": PRODUCTS,
    "aten::addmm": PRODUCTS,
    "aten::mkldnn_linear": PRODUCTS,
    "mkldnn::": PRODUCTS,
    "aten::bmm": ATTENTION,
    "aten::baddbmm": ATTENTION,
    "aten::_softmax": ATTENTION,
    "aten::_scaled_dot_product": ATTENTION,
    "aten::_flash_attention": ATTENTION,
    "aten::_efficient_attention": ATTENTION,
    "aten::_linalg_eigh": FACTORS,
}


@dataclass(frozen=True)
class Needs:
    """What a piece of work needs at least, whoever does it. `products` are the shapes that it is mostly made of."""

    flops: float
    bytes: float
    products: tuple[Shape, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class TokenCost:
    """Multiplications that a decoder makes of one token. Each goes with an addition: two FLOPs."""

    layer: int  # with the weights of one layer
    keys_values: int  # of these, for keys and values
    pair: int  # in one layer's attention, for each token that is looked at, itself too
    head: int  # for logits

    @classmethod
    def of(cls, decoder: Decoder) -> Self:
        config = decoder.model.config
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        groups = getattr(config, "num_key_value_heads", None) or heads
        return cls(
            layer=sum(weight.numel() for weight in matrices(decoder.layers[0])),
            keys_values=2 * groups * width * config.hidden_size,
            pair=2 * heads * width,
            head=decoder.head.numel(),
        )

    def flops(
        self, sequences: Sequence[TokenIds], layers: int, wanted: Sequence[int] | None = None, *, logits: bool = False
    ) -> float:
        """To know the state after `layers` layers (at least 1) at the last `wanted` positions of each sequence, by
        default the last one, and the logits there.

        What several sequences open with is computed once, however long. In the last layer, the positions that are not
        wanted give keys and values only.
        """
        wanted = wanted or [1] * len(sequences)
        openings = {sequence[: i + 1] for sequence in sequences for i in range(len(sequence))}
        asked = {s[: len(s) - i] for s, last in zip(sequences, wanted, strict=True) for i in range(last)}
        pairs_below = (layers - 1) * sum(map(len, openings))
        total = (layers - 1) * self.layer * len(openings) + self.pair * (pairs_below + sum(map(len, asked)))
        total += self.layer * len(asked) + self.keys_values * (len(openings) - len(asked))
        return 2.0 * (total + (self.head * len(asked) if logits else 0))


def matrices(module: nn.Module) -> list[Float[Tensor, "_ _"]]:
    """The weights that tokens are multiplied with."""
    return [parameter for parameter in module.parameters() if parameter.ndim == 2]


def weight_bytes(decoder: Decoder, layers: int) -> int:
    """The size of the weights of the first `layers` layers."""
    return sum(weight.nbytes for weight in chain.from_iterable(map(matrices, decoder.layers[:layers])))


def products(decoder: Decoder, rows: int = ROWS) -> tuple[Shape, ...]:
    """The products of one layer with `rows` tokens; by default as many as show what the machine can do."""
    return tuple((rows, *weight.shape[::-1]) for weight in matrices(decoder.layers[0]))


def counted_flops(work: Callable[[], Any]) -> float:
    """FLOPs of the matrix products that `work` makes in torch."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def profile(work: Callable[[], Any], seconds: float, needs: Needs, device: str, left: str) -> Profile:
    """How far `work`, which takes `seconds`, is from the floor, and where its time goes, by one run more.

    `left` says, in a clause, what is between it and the floor.
    """
    flops_per_second = attained_flops(needs.products, needs.dtype, device)
    bytes_per_second = attained_bytes(device)
    by_flops, by_bytes = needs.flops / flops_per_second, needs.bytes / bytes_per_second
    distance = seconds / max(by_flops, by_bytes)
    parts = shares(work, device)
    largest = sorted(parts, key=lambda part: -parts[part])[:2]
    return Profile(
        flops=needs.flops,
        bytes=needs.bytes,
        flops_per_second=flops_per_second,
        bytes_per_second=bytes_per_second,
        floor_seconds_by_flops=by_flops,
        floor_seconds_by_bytes=by_bytes,
        distance=distance,
        shares=parts,
        explained=f"{distance:.1f} times the floor by {'FLOPs' if by_flops >= by_bytes else 'bytes'}; most goes into "
        + " and ".join(f"{part} ({parts[part]:.0%})" for part in largest)
        + f". Above the floor: {left}.",
    )


@torch.no_grad()
def attained_flops(shapes: Sequence[Shape], dtype: torch.dtype, device: str) -> float:
    """FLOP/s of matrix products of these shapes, one of each after another: the most that was seen."""
    seconds = 0.0
    for rows, inner, columns in shapes:
        left, weight = (torch.randn(size, inner).to(device, dtype) for size in (rows, columns))
        seconds += _fastest(lambda left=left, weight=weight: nn.functional.linear(left, weight), device)  # type: ignore[misc]
    return sum(2.0 * rows * inner * columns for rows, inner, columns in shapes) / seconds


def attained_bytes(device: str) -> float:
    """Bytes per second of reading or of copying memory, whichever is more."""
    source = torch.ones(BUFFER_BYTES // 4, device=device)
    target = torch.empty_like(source)
    read = BUFFER_BYTES / _fastest(lambda: source.sum(), device)
    copied = 2 * BUFFER_BYTES / _fastest(lambda: target.copy_(source), device)
    return max(read, copied)


def shares(work: Callable[[], Any], device: str) -> dict[str, float]:
    """The share of each part in the time of `work`, as torch's profiler sees it, largest first.

    On an accelerator, its time counts, and what it is idle is waiting. The profiler's own work lengthens what consists
    of many small operations.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else the profiler reports its start and end on stderr
    on_device = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    synchronize(device)
    with traced(activities=activities) as trace:
        started = time.perf_counter()
        work()
        synchronize(device)
        total = time.perf_counter() - started
    seconds: dict[str, float] = {}
    for event in trace.key_averages():
        if event.device_type == DeviceType.CPU:
            part = next((PARTS[name] for name in PARTS if event.key.startswith(name)), ELSE)
            spent = event.self_device_time_total if on_device else event.self_cpu_time_total
            seconds[part] = seconds.get(part, 0) + spent / 1e6
    seconds[OUTSIDE] = max(0.0, total - sum(seconds.values()))
    whole = sum(seconds.values())
    return {part: spent / whole for part, spent in sorted(seconds.items(), key=lambda each: -each[1]) if spent}


def _fastest(work: Callable[[], Any], device: str) -> float:
    """Seconds of the fastest run of many: what others do on the machine only adds to the rest."""
    work()
    best, until = float("inf"), time.perf_counter() + TRY_SECONDS
    while time.perf_counter() < until or best == float("inf"):
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best
