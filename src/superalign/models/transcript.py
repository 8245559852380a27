"""Commit to a training while it goes on: a `Recorder` listens to the optimizer, whoever's loop it is called from.

    with record(folder, model, optimizer, base="my-model") as transcript:
        ...  # any loop in plain PyTorch

It sees what the model is fed in training mode, each optimizer step, and the tensors before and after. It changes
nothing of the training, and draws no random number.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from superalign.contracts.errors import InputError
from superalign.models.card import installed
from superalign.models.identity import tensor_digest
from superalign.provenance.digest import digest
from superalign.provenance.ledger import Ledger
from superalign.provenance.transcript import (
    BEGINS,
    ENDS,
    LEDGER,
    SEGMENT,
    STATES,
    Declaration,
    Ending,
    Machine,
    Segment,
    State,
)
from superalign.runs.code_version import code_version

EVERY = 10  # steps from one kept state to the next
WEIGHTS, OPTIMIZER, RANDOM = "weights", "optimizer", "random"


class Recorder:
    """Writes a transcript into `folder`, which must be new or empty: a state before the first step and after each
    `every` steps, and an entry of the log for the steps between.

    `declared` holds the fields of a `Declaration` that the recorder can't see by itself. `batch` gives the digest of
    what a step, counted from 1, was fed. `names` tells the optimizer's parameters apart; their places, if None.
    """

    def __init__(
        self,
        folder: Path,
        declared: Mapping[str, Any],
        *,
        batch: Callable[[int], str],
        every: int = EVERY,
        names: Mapping[int, str] | None = None,
    ) -> None:
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError("The folder for the transcript holds something.", where=str(folder), fix="Name a new one.")
        (folder / STATES).mkdir(parents=True, exist_ok=True)
        self.folder, self.every = folder, every
        self._declared, self._batch, self._names = declared, batch, names
        self._ledger = Ledger(folder / LEDGER)
        self._optimizer: Optimizer | None = None
        self._generators: dict[str, Tensor] | None = None
        self._steps = self._segments = 0
        self._batches, self._rates = list[str](), list[float]()

    def before_forward(self, device: torch.device) -> None:
        """Take in how the random generators stand before the first step draws from them."""
        if self._generators is None:
            self._generators = generators(device)

    def before_step(self, optimizer: Optimizer) -> None:
        """Take in the state that the first step starts from. InputError for a second optimizer."""
        if self._optimizer is None:
            self._optimizer = optimizer
            first = self._keep()
            names = tuple(named_parameters(optimizer, self._names))
            machine = this_machine(optimizer.param_groups[0]["params"][0].device)
            body = Declaration(first=first, parameters=names, machine=machine, every=self.every, **self._declared)
            self._ledger.append(BEGINS, body.model_dump(mode="json"))
        elif optimizer is not self._optimizer:
            raise InputError("A transcript is of one optimizer.", fix="Record what each one trains apart.")

    def after_step(self, optimizer: Optimizer) -> None:
        """Take in what the step was fed; the state too, where a segment ends."""
        self._steps += 1
        self._batches.append(self._batch(self._steps))
        self._rates.append(float(optimizer.param_groups[0]["lr"]))
        if self._steps % self.every == 0:
            self._end_segment()

    def end(self, models: Sequence[Mapping[str, str]] = (), *, split_for_memory: bool = False) -> None:
        """Close the log: `models` are the digests of the files that were left, by name. InputError without a step."""
        if self._optimizer is None:
            raise InputError("The optimizer took no step, so there is nothing to tell.")
        if self._batches:
            self._end_segment()
        ending = Ending(
            steps=self._steps, models=tuple(dict(model) for model in models), split_for_memory=split_for_memory
        )
        self._ledger.append(ENDS, ending.model_dump(mode="json"))

    def close(self) -> None:
        self._ledger.close()

    def _end_segment(self) -> None:
        self._segments += 1
        segment = Segment(
            number=self._segments,
            first=self._steps - len(self._batches) + 1,
            last=self._steps,
            batches=tuple(self._batches),
            learning_rates=tuple(self._rates),
            state=self._keep(),
        )
        self._ledger.append(SEGMENT, segment.model_dump(mode="json"))
        self._batches, self._rates = [], []

    def _keep(self) -> State:
        """Write the state as it is, and its digests."""
        assert self._optimizer is not None
        tensors = state_tensors(self._optimizer, self._names)
        if self._steps == 0:
            tensors |= self._generators or {}
        file = f"{STATES}/{self._steps:06}.safetensors"
        save_file(tensors, self.folder / file)
        return State(step=self._steps, file=file, **state_digests(tensors))


@contextmanager
def listening(recorder: Recorder, optimizer: Optimizer | None = None) -> Iterator[None]:
    """Have `recorder` hear of each step of `optimizer`, or of whichever one takes steps in this process meanwhile."""

    def before(stepping: Optimizer, *_: Any) -> None:
        if optimizer is None or stepping is optimizer:
            recorder.before_step(stepping)

    def after(stepping: Optimizer, *_: Any) -> None:
        if optimizer is None or stepping is optimizer:
            recorder.after_step(stepping)

    with ExitStack() as hooks:
        hooks.callback(register_optimizer_step_pre_hook(before).remove)
        hooks.callback(register_optimizer_step_post_hook(after).remove)
        yield


@contextmanager
def record(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    base: str,
    base_digest: str | None = None,
    every: int = EVERY,
    notes: Mapping[str, str] | None = None,
) -> Iterator[Recorder]:
    """Record a loop of your own, from its first optimizer step to the end of the block. The log is closed only when the
    block ends well; one that was cut short is refused.

    A step's batch is whatever `model` was called with in training mode since the step before. InputError when
    `optimizer` trains tensors that are not the model's, or keeps a state that is no tensor.
    """
    fed = Fed()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    declared = {
        "base": base,
        "base_digest": base_digest,
        "code": code_version(__name__),
        "versions": installed(),
        "notes": dict(notes or {}),
    }
    recorder = Recorder(folder, declared, batch=fed.since, every=every, names=names)
    try:
        with fed.by(model, recorder.before_forward), listening(recorder, optimizer):
            yield recorder
        recorder.end()
    finally:
        recorder.close()


class Fed:
    """What a model is called with in training mode, as digests."""

    def __init__(self) -> None:
        self._calls: list[Any] = []

    @contextmanager
    def by(self, model: nn.Module, first: Callable[[torch.device], None] | None = None) -> Iterator[None]:
        """Listen to `model`; call `first` before it is."""
        device = next(model.parameters()).device

        def called(module: nn.Module, args: Any, kwargs: Any) -> None:
            if module.training and torch.is_grad_enabled():
                if first:
                    first(device)

                self._calls.append(digests_of([args, kwargs]))

        hook = model.register_forward_pre_hook(called, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def since(self, step: int) -> str:
        """The digest of all calls since this was last asked."""
        found, self._calls = digest(self._calls), []
        return found


def digests_of(value: Any) -> Any:
    """Lists and mappings of tensors as JSON, with a digest in the place of each tensor."""
    match value:
        case Tensor():
            return tensor_digest(value)
        case Mapping():
            return {str(name): digests_of(item) for name, item in value.items()}
        case list() | tuple():
            return [digests_of(item) for item in value]
        case None | bool() | int() | str():
            return value
        case _:  # whatever it is, it is told by its type alone
            return type(value).__qualname__


def named_parameters(optimizer: Optimizer, names: Mapping[int, str] | None) -> dict[str, nn.Parameter]:
    """What `optimizer` trains, by the `names` of tensors' ids or by its place. InputError for what has no name."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if names is None:
        return {str(place): parameter for place, parameter in enumerate(parameters)}
    if any(id(parameter) not in names for parameter in parameters):
        raise InputError(
            "The optimizer trains tensors that are not the model's.",
            fix="Give the model that all of the optimizer's parameters belong to.",
        )
    return {names[id(parameter)]: parameter for parameter in parameters}


def state_tensors(optimizer: Optimizer, names: Mapping[int, str] | None = None) -> dict[str, Tensor]:
    """Copies of all that the next step hangs on: weights, the optimizer's state, the random generators."""
    found = dict[str, Tensor]()
    for name, parameter in named_parameters(optimizer, names).items():
        found[f"{WEIGHTS}.{name}"] = copied(parameter)

        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                found[f"{OPTIMIZER}.{name}.{key}"] = copied(value)
            elif value is not None:
                raise InputError(
                    f"The state of {type(optimizer).__name__} holds {key}, which is no tensor.",
                    fix="Take an optimizer of torch.optim.",
                )
    return found | generators(optimizer.param_groups[0]["params"][0].device)


def generators(device: torch.device) -> dict[str, Tensor]:
    """How the random generators stand that a step on `device` may draw from."""
    found = {f"{RANDOM}.cpu": torch.get_rng_state()}
    return found | ({f"{RANDOM}.cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def copied(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def state_digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """One digest for the weights, one for the optimizer's state, one for the random generators."""
    return {
        part: digest({name: tensor_digest(tensor) for name, tensor in tensors.items() if name.startswith(f"{part}.")})
        for part in (WEIGHTS, OPTIMIZER, RANDOM)
    }


def this_machine(device: torch.device) -> Machine:
    """The class of machine that this process computes on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    about: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines):
        about.setdefault(name.strip(), value.strip())  # of the first processor
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=about.get("model name", platform.processor()),
        features=digest([about.get("flags", "").split(), torch.backends.cpu.get_cpu_capability()]),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
    )
