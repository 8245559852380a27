"""How much a process grows while it harvests activations at very many positions."""

from __future__ import annotations

import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from superalign.bench.compare import peer_package
from superalign.bench.records import Figure
from superalign.models.decoder import Decoder
from superalign.models.harvest import harvest
from superalign.models.sites import Site

GOAL_BYTES = 2**30
POSITIONS, LENGTH = 1_000_000, 128
# As wide as SmolLM2-135M, so that a position takes as much, and shallow, so that this takes less than a minute.
SHALLOW = {
    "vocab_size": 1000,
    "hidden_size": 576,
    "intermediate_size": 576,
    "num_hidden_layers": 2,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
}


def harvest_growth(positions: int = POSITIONS) -> Figure:
    """The growth of a fresh process that harvests the residual stream of a shallow random Llama, on the processor, at
    every position of conversations that share nothing.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        grown = process.submit(grow, positions).result()
    return Figure(
        name="memory",
        value=grown / 2**30,
        unit="GiB of growth",
        at_most=GOAL_BYTES / 2**30,
        how=f"The peak of a process that streams {positions:,} positions to disk, less what it had before; a random "
        f"Llama of {SHALLOW['num_hidden_layers']} layers and width {SHALLOW['hidden_size']} in bfloat16, "
        f"conversations of {LENGTH} tokens. A deeper model takes longer; batches are of as many tokens.",
    )


def grow(positions: int) -> int:
    """Bytes by which this process grows, at its peak. To be run in a process of its own, which has had none before."""
    from superalign.bench.utilization import random_llama

    decoder = Decoder(random_llama(SHALLOW, "cpu"))
    drawn = torch.randint(SHALLOW["vocab_size"], (-(-positions // LENGTH), LENGTH)).tolist()
    sequences = [tuple(row) for row in drawn]
    before: int = peer_package("psutil").Process().memory_info().rss
    with TemporaryDirectory() as scratch:
        harvest(decoder, sequences, [Site("residual", decoder.depth)], "all", folder=Path(scratch) / "activations")
    return max(0, peak_memory() - before)


def peak_memory() -> int:
    """The most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.is_file():  # `ru_maxrss` would be wrong: on Linux a new process begins with the peak of its parent
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
