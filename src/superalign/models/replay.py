"""Take the steps of a segment again from the state before it, and compare with the state that the transcript tells.

Bits are compared, where they can be: states can be found that a replay reaches within a tolerance though nobody trained
them so (Zhang et al. 2021, arXiv 2108.09454; Fang et al. 2022, arXiv 2208.03567).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import Optimizer

from superalign.models.transcript import OPTIMIZER, RANDOM, WEIGHTS, Fed, named_parameters, state_digests, state_tensors
from superalign.provenance.transcript import Segment, State


class Trainer(Protocol):
    """A loop of the user's, step by step: `step` does whatever trains `model` in step `number`, counted from 1, the
    learning rate included. Which batch that takes must follow from the number; random generators stand as they stood.
    """

    model: nn.Module
    optimizer: Optimizer

    def step(self, number: int) -> object: ...


class Replayable(Protocol):
    """What is replayed. `step` returns the digest of what it was fed; `names` tells the optimizer's tensors apart, by
    their ids; `models` stand in each of them, along its first axis.
    """

    optimizer: Optimizer
    names: dict[int, str] | None
    models: int

    def step(self, number: int) -> str: ...


class UserLoop:
    """A `Trainer` as it is replayed: what its model is fed is listened to, as it was recorded."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.optimizer, self.models = trainer, trainer.optimizer, 1
        self.names: dict[int, str] | None = {id(own): name for name, own in trainer.model.named_parameters()}
        self._fed = Fed()

    def step(self, number: int) -> str:
        self.trainer.model.train()
        with self._fed.by(self.trainer.model):
            self.trainer.step(number)
        return self._fed.since(number)


class Replayed(NamedTuple):
    """How a replay compares: whether weights and optimizer are the same to the bit, how far they are apart, and the
    first step whose batch was another, if any.

    `distance` is that of the weights over what the segment moved them; `optimizer_distance` that of the optimizer's
    state over its own size; both of the model that is furthest apart.
    """

    exact: bool
    distance: float
    optimizer_distance: float
    other_batch: int | None


def replayed(loop: Replayable, segment: Segment, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Replayed:
    """Take the segment's steps from the state `before`, and compare with the state `after`. ValueError when `before`
    does not fit what is trained.
    """
    if set(of(WEIGHTS, before)) != set(of(WEIGHTS, after)):
        raise ValueError("the states before and after it are not of the same tensors")
    with torch.random.fork_rng():
        restore(loop, before)
        fed = [loop.step(number) for number in range(segment.first, segment.last + 1)]
        found = state_tensors(loop.optimizer, loop.names)
    steps = zip(range(segment.first, segment.last + 1), fed, segment.batches, strict=True)
    digests = state_digests(found)
    moved = difference(after, before, of(WEIGHTS, after))
    of_kind: dict[str, list[str]] = {}
    for name in of(OPTIMIZER, after):
        of_kind.setdefault(name.rsplit(".", 1)[1], []).append(name)
    kinds = [ratio(found, after, after, names, loop.models) for names in of_kind.values()]
    return Replayed(
        exact=all(digests[part] == getattr(segment.state, part) for part in (WEIGHTS, OPTIMIZER)),
        distance=ratio(found, after, moved, of(WEIGHTS, after), loop.models),
        optimizer_distance=max(kinds, default=0.0),
        other_batch=next((number for number, own, told in steps if own != told), None),
    )


def restore(loop: Replayable, tensors: Mapping[str, Tensor]) -> None:
    """Put weights, optimizer and random generators in a state that was kept. ValueError when it does not fit."""
    parameters = named_parameters(loop.optimizer, loop.names)
    if set(of(WEIGHTS, tensors)) != {f"{WEIGHTS}.{name}" for name in parameters}:
        raise ValueError("its tensors are not those that are trained")
    state: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for place, (name, parameter) in enumerate(parameters.items()):
            if tensors[f"{WEIGHTS}.{name}"].shape != parameter.shape:
                raise ValueError(f"its {name} has another shape than the one that is trained")
            parameter.copy_(tensors[f"{WEIGHTS}.{name}"])
            own = {key.removeprefix(f"{OPTIMIZER}.{name}."): key for key in of(f"{OPTIMIZER}.{name}", tensors)}
            if own:
                state[place] = {key: tensors[long].clone() for key, long in own.items()}
    loop.optimizer.load_state_dict(loop.optimizer.state_dict() | {"state": state})
    torch.set_rng_state(tensors[f"{RANDOM}.cpu"])
    device = next(iter(parameters.values())).device
    if f"{RANDOM}.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors[f"{RANDOM}.cuda"], device)


def of(part: str, tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of a part's tensors."""
    return [name for name in tensors if name.startswith(f"{part}.")]


def difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: one[name].double() - other[name].double() for name in names}


def ratio(
    found: Mapping[str, Tensor],
    told: Mapping[str, Tensor],
    against: Mapping[str, Tensor],
    names: Sequence[str],
    models: int,
) -> float:
    """How far `found` is from `told`, over the size of `against`; of the model for which that is the largest. Infinite
    when a tensor is missing, or a count, which has no size, is another.
    """
    if any(name not in found or found[name].shape != told[name].shape for name in names):
        return math.inf
    counts = [name for name in names if told[name].ndim == 0]
    if any(not torch.equal(found[name], told[name]) for name in counts):
        return math.inf
    sized = [name for name in names if told[name].ndim]
    apart, size = (
        torch.stack([tensors[name].double().view(models, -1).square().sum(1) for name in sized]).sum(0).sqrt()
        if sized
        else torch.zeros(models, dtype=torch.float64)
        for tensors in (difference(found, told, sized), against)
    )
    return float(torch.where(apart > 0, apart / size, apart).max())


def read_state(folder: Path, state: State) -> dict[str, Tensor] | None:
    """The tensors of `state`; None where they were not kept. ValueError when they are not those that were committed."""
    path = folder / state.file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError("it is said to lie outside of the transcript's folder")
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"its file can't be read: {error}") from None
    if state_digests(tensors) != {part: getattr(state, part) for part in (WEIGHTS, OPTIMIZER, RANDOM)}:
        raise ValueError("its tensors are not those that were committed")
    return tensors


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads within."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
