"""Sparse features to equal loss: our TopK autoencoder against SAELens, on the same activations.

Both see as many rows in as large batches, with the same schedule of learning rates, each at the rate that does it most
good. SAELens needs an older transformers, and runs in an environment of its own (`bench.worker` says how).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from superalign.bench.compare import Ends, Peer, Settings, compare
from superalign.bench.floor import Needs, profile
from superalign.bench.records import Benchmark, Figure, Profile
from superalign.bench.worker import peer_python, working
from superalign.contracts.errors import InputError
from superalign.interpretability.feature_training import DECAY, WARM_UP, Training, quick_type, train

GOAL, BOUND = 2.0, 0.01  # the bound: by how much more of the variance ours may leave unexplained, over all rounds
SAELENS = "6.54.0"
PACKAGES = f"sae-lens=={SAELENS} 'transformers<5'"
# In these ways SAELens runs on a processor. Its sparse products do not: torch has no view of sparse tensors there.
WAYS = {
    "SAELens, float32": {"autocast": False},
    "SAELens, bfloat16": {"autocast": True},
}


@dataclass(frozen=True)
class Work:
    """Planted activations, sums of `together` out of `planted` directions, and how features are sought in them."""

    width: int = 576
    planted: int = 1024
    together: int = 16
    taught: int = 2**16
    held_out: int = 2**12
    features: int = 4608
    active: int = 32
    rows: int = 2**17
    batch: int = 1024
    learning_rate: float = 6e-3
    peer_learning_rate: float = 6e-3  # ends lower than with 1e-3, 3e-3, 1e-2 or 2e-2

    def training(self, seed: int) -> Training:
        return Training(self.features, self.active, self.rows, self.batch, self.learning_rate, seed)


def run(settings: Settings, work: Work | None = None, python: Path | None = None) -> Benchmark:
    """The bench; each round with another seed. `python` is that of the peer's environment."""
    if torch.device(settings.device).type != "cpu":
        raise InputError("SAELens is measured on the processor only.", fix="Leave out --device.")
    work, python = work or Work(), python or peer_python("SAELens", "saelens", PACKAGES)
    rows = {"taught": planted(work, work.taught, seed=1), "held_out": planted(work, work.held_out, seed=2)}
    seeds = count()

    def ours() -> float:
        found = train([rows["taught"].float()], work.training(next(seeds)))
        return 1 - found.explained_variance([rows["held_out"].float()])

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory()))
        save_file(rows, scratch / "rows.safetensors")
        peers = {
            name: Peer(GOAL, ends(settings.repeats + 1), partial(saelens, stack, python, scratch, work, way))
            for name, way in WAYS.items()
        }
        found = compare(
            "sae",
            ours,
            peers,
            settings,
            profile=lambda _, seconds: _profile(ours, work, seconds),
            notes=notes(work),
        )
    speeds = [work.rows / each.median for each in (found.ours, found.peer)]
    speed = Figure(
        name="rows per second",
        value=speeds[0],
        at_least=GOAL * speeds[1],
        how=f"{found.peer.name}: {speeds[1]:,.0f}. Each round ends with an evaluation on {work.held_out} rows.",
    )
    return found.model_copy(update={"figures": (speed,)})


def ends(rounds: int) -> Ends[float]:
    return Ends("unexplained variance", float, BOUND, rounds)


def planted(work: Work, count: int, seed: int) -> Float[Tensor, "rows width"]:
    """Sums of a few of many directions, some of which are at work far more often than others, and some noise. The mean
    is taken out, since a peer starts without one and would have to learn it first.
    """
    generator = torch.Generator().manual_seed(0)
    directions = nn.functional.normalize(torch.randn(work.planted, work.width, generator=generator), dim=1)
    chance = torch.arange(1, work.planted + 1) ** -0.7
    chance = (chance * work.together / chance.sum()).clamp(max=0.5)
    generator.manual_seed(seed)
    found = []
    for start in range(0, count, 4096):
        at_work = torch.rand(min(4096, count - start), work.planted, generator=generator) < chance
        strength = at_work * (1 + torch.rand(at_work.shape, generator=generator))
        noise = 0.02 * torch.randn(len(strength), work.width, generator=generator)
        found.append((strength - 1.5 * chance) @ directions + noise)
    return torch.cat(found).half()


def saelens(stack: ExitStack, python: Path, folder: Path, work: Work, way: dict[str, bool]) -> Callable[[], float]:
    """What SAELens leaves unexplained, for seeds from 0 on, in a process that has the rows in `folder`."""
    ask = stack.enter_context(working("SAELens", python, "saelens_worker.py", folder))
    seeds, steps = count(), work.training(0).steps

    def unexplained() -> float:
        task = {
            "features": work.features,
            "active": work.active,
            "rows": work.rows,
            "batch": work.batch,
            "learning_rate": work.peer_learning_rate,
            "warm_up": round(WARM_UP * steps),
            "decay": round(DECAY * steps),
            "seed": next(seeds),
        }
        return float(ask(task | way)["unexplained"])

    return unexplained


def _profile(ours: Callable[[], float], work: Work, seconds: float) -> Profile:
    """The least that a step takes: the encoder's product with every feature, since any may be among the largest; five
    products with those that are active; and weights, their gradients and Adam's moments once in and out of memory.
    """
    dense, sparse = 2.0 * work.width * work.features, 5 * 2.0 * work.width * work.active
    parameters = 4 * 2 * work.width * work.features
    needs = Needs(
        flops=work.rows * (dense + sparse),
        bytes=7.0 * parameters * (work.rows // work.batch),
        products=((work.batch, work.width, work.features),),
        dtype=quick_type(torch.device("cpu")),
    )
    left = "the choice of the largest, gathers of the active features' directions, and the evaluation"
    return profile(ours, seconds, needs, "cpu", left)


def notes(work: Work) -> tuple[str, ...]:
    return (
        f"{work.features} features, {work.active} active, of {work.taught} planted activations of width {work.width}: "
        f"{work.planted} directions, {work.together} at a time, and noise. {work.rows} rows are seen, in batches of "
        f"{work.batch}; each round has another seed. What is left unexplained is measured on {work.held_out} others.",
        f"Adam at {work.learning_rate:g} (ours) and {work.peer_learning_rate:g} (SAELens), warmed up over the first "
        f"{WARM_UP:.0%} of the steps and decayed over the last {DECAY:.0%}.",
        f"SAELens {SAELENS} runs its SAETrainer on an iterator of activations, in a process of its own, in each way of "
        "computing that runs on a processor.",
    )
