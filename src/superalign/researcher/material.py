"""What problems on a model's activations share: whose questions are whose, what is read at them, and usable answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts import registry
from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Task
from superalign.contracts.records import Question, Record, Unscored
from superalign.contracts.research import Sample
from superalign.runs.store import DamagedStep, Done, StepStore, step_key
from superalign.tasks.splits import pool_of, take

Part = Literal["development", "sealed", "final"]
PARTS: tuple[Part, ...] = ("development", "sealed", "final")
EMBEDDED = "smollm2-135m"
WORKBENCH = Path(__file__).parent / "workbench"
READ = "read.npy"

Value = TypeVar("Value", bound=Record)


class Pool:
    """The groups of a task that belong to one part, to be drawn from without repeats.

    A group always belongs to the same part, whatever the seed. Without a part it is all groups of the task: for tasks
    that only one part asks about.
    """

    def __init__(self, task: str, part: Part | None, seed: int) -> None:
        made: Task = registry.tasks.make(task)
        questions, self.key = made.load(seed=seed)
        groups, levels = pool_of([one for one in questions if part in (None, owner(task, one.group))], seed)
        self._groups: dict[str, list[Question]] = groups
        self._levels: dict[int, list[str]] = levels
        self._rng = random.Random(f"{task} {part} {seed}")

    def pairs(self, groups: int, levels: Sequence[int]) -> tuple[Question, ...]:
        """All questions of so many groups, those of a group together. PlanError when there are fewer."""
        return tuple(one for name in take(self._levels, groups, levels=levels) for one in self._groups[name])

    def singles(self, groups: int, levels: Sequence[int]) -> tuple[Question, ...]:
        """One question of each of so many groups, half of them with the answer yes, so that none tells of another."""
        names = take(self._levels, groups, levels=levels)
        self._rng.shuffle(names)
        return tuple(self._of(name, yes=place % 2 == 0) for place, name in enumerate(names))

    def _of(self, group: str, *, yes: bool) -> Question:
        return next(one for one in self._groups[group] if self.key.truth[one.id] == yes)


def owner(task: str, group: str) -> Part:
    """The part that a group belongs to."""
    return random.Random(f"part of {task} {group}").choice(PARTS)


class Shape(Record):
    """Of what was read."""

    questions: int
    layers: int
    width: int


def read(folder: Path, *, model: str, digest: str, questions: tuple[Question, ...], depths: tuple[float, ...]) -> Shape:
    """The residual stream at the answer position of each question, after these fractions of the model's layers."""
    from superalign.models.handle import ModelIdentity, open_base

    subject = open_base(ModelIdentity(name=model, digest=digest, device="cpu"))
    layers = sorted({max(1, round(depth * subject.layers)) for depth in depths})
    found = subject.activations([question.asked for question in questions], layers)
    np.save(folder / READ, found[:, [layers.index(max(1, round(depth * subject.layers))) for depth in depths]])
    return Shape(questions=len(questions), layers=len(depths), width=found.shape[2])


class Reader:
    """A model that is read once: what it held at questions is kept in `folder`."""

    def __init__(self, folder: Path, model: str, depths: Sequence[float]) -> None:
        """ModelError when there is no such model."""
        from superalign.models.handle import identify

        self.folder, self.model, self.depths = folder, identify(model), tuple(depths)

    def __call__(self, label: str, questions: Sequence[Question]) -> Float[np.ndarray, "questions layers width"]:
        done = kept(
            self.folder,
            label,
            read,
            model=self.model.name,
            digest=self.model.digest,
            questions=tuple(questions),
            depths=self.depths,
        )
        found: np.ndarray = np.load(done.folder / READ, allow_pickle=False)
        return found.astype(np.float32)


def kept(folder: Path, label: str, function: Callable[..., Value], **arguments: Any) -> Done[Value]:
    """The result of `function(own folder, **arguments)`, computed once in `folder`; again where it was damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    store, key = StepStore(folder), step_key(function, arguments)
    try:
        found = store.find(key, function)
    except DamagedStep:
        store.set_aside(key)
        found = None
    return found or store.compute(key, label, function, arguments)


def truth_of(key: AnswerKey, questions: Sequence[Question]) -> Bool[np.ndarray, "questions"]:
    """Right answers, in their order."""
    return np.asarray(key.of(questions), bool)


def usable(
    answer: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], *, low: float = -np.inf, high: float = np.inf
) -> Float[np.ndarray, "..."]:
    """What an answer says under `name`. InputError unless it is finite numbers from `low` to `high` of this shape."""
    bounds = f" from {low:g} to {high:g}" if np.isfinite([low, high]).all() else ""
    fix = f"Answer {name!r} with finite numbers{bounds} of shape {shape}."
    if name not in answer:
        raise InputError(f"The answer has no {name!r}.", where="answer", fix=fix)
    found = np.asarray(answer[name])
    if found.dtype.kind not in "biuf" or found.shape != shape:
        raise InputError(f"{name!r} is {found.dtype} of shape {found.shape}.", where="answer", fix=fix)
    numbers = found.astype(np.float64)
    if not np.isfinite(numbers).all() or (numbers < low).any() or (numbers > high).any():
        raise InputError(f"{name!r} has values that can't be used.", where="answer", fix=fix)
    return numbers


def scored(measure: Callable[[], float]) -> float | Unscored:
    """What is measured; Unscored where the answers can't be used."""
    try:
        value = measure()
    except InputError as error:
        return Unscored(reason=str(error))
    return value if np.isfinite(value) else Unscored(reason=f"the measurement came out as {value}")


def last(answers: Sequence[Mapping[str, np.ndarray]], stages: int) -> Mapping[str, np.ndarray]:
    """The answer of the last stage. InputError when there have been fewer or more answers."""
    if len(answers) != stages:
        raise InputError(f"There are {len(answers)} answers.", where="answer", fix=f"Answer {stages} times.")
    return answers[-1]


def shuffled(sample: Sample, seed: int) -> Sample:
    """The sample with its `truth` in another order, as a control."""
    order = np.random.default_rng(seed).permutation(len(sample.truth["truth"]))
    return replace(sample, truth={**sample.truth, "truth": sample.truth["truth"][order]})
