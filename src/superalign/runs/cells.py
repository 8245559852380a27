"""What passes between the process that holds a run and those that compute for it: one line of JSON each way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from superalign.contracts import errors
from superalign.contracts.errors import InputError, RunError, SuperalignError
from superalign.contracts.records import Record
from superalign.runs.store import function_name, step_key

Value = TypeVar("Value", bound=Record)


@dataclass(frozen=True)
class Cell(Generic[Value]):
    """A step that stands for itself: any process may compute it, in any order. `parts` are the modules of the parts
    that `function` looks up by name.
    """

    label: str
    function: Callable[..., Value]
    arguments: Mapping[str, Any]
    parts: tuple[str, ...] = ()

    @property
    def foreign(self) -> bool:
        """Whether code that is not ours takes part, which may hang or take its process down."""
        modules = (self.function.__module__, *self.parts)
        return any(module.partition(".")[0] != "superalign" for module in modules)


class Task(Record):
    """A cell as it goes to a worker; `folder` is that of the run, `time_limit` in seconds."""

    folder: Path
    time_limit: float
    key: str
    label: str
    function: str
    parts: tuple[str, ...]
    arguments: dict[str, Any]


class Fault(Record):
    """An error that was raised while a cell was computed. `kind` is a class of `contracts.errors`, or of anything."""

    kind: str
    what: str
    where: str | None = None
    fix: str | None = None
    traceback: str = ""


class Reply(Record):
    """What a worker says: that it is there, that it has begun a cell, and how it ended."""

    kind: Literal["ready", "started", "done", "fault"]
    fault: Fault | None = None


class Outcome(Record):
    """How a cell ended: in the run's store, or lost to what `lost` says, or with an error that ends the run."""

    key: str
    lost: str | None = None
    seconds: float = 0.0
    fault: Fault | None = None


def task_for(cell: Cell[Any], key: str, folder: Path, time_limit: float) -> Task:
    """The task that computes `cell`. TypeError when an argument is not what the function declares."""
    name, adapters = function_name(cell.function), argument_types(cell.function)
    for module in (cell.function.__module__, *cell.parts):
        if module == "__main__":
            raise InputError(
                "What another process is to run can't be part of the script that was started.",
                where=name,
                fix="Move it into a module of its own, and import it.",
            )
    try:
        arguments = {
            argument: adapters[argument].dump_python(value, mode="json", by_alias=True, warnings="error")
            for argument, value in cell.arguments.items()
        }
    except KeyError as error:
        raise TypeError(f"{name} declares no type for {error}, which another process is to be given.") from None
    except PydanticSerializationError as error:
        raise TypeError(f"An argument of {name} is not of the type that it declares: {error}") from None
    return Task(
        folder=folder,
        time_limit=time_limit,
        key=key,
        label=cell.label,
        function=name,
        parts=cell.parts,
        arguments=arguments,
    )


def restored(task: Task) -> tuple[Callable[..., Record], dict[str, Any]]:
    """The function of `task` and its arguments, as they were. RunError when the code here is not the sender's."""
    try:
        for part in task.parts:
            import_module(part)
        module, _, name = task.function.rpartition(".")
        function: Callable[..., Record] = getattr(import_module(module), name)
        adapters = argument_types(function)
        arguments = {name: adapters[name].validate_python(value) for name, value in task.arguments.items()}
        same = step_key(function, arguments) == task.key
    except (ImportError, AttributeError, KeyError, ValidationError) as error:
        raise RunError(
            f"A worker can't make {task.label!r} out: {error}.",
            where=task.function,
            fix="Install the same packages wherever workers run.",
        ) from error
    if not same:
        raise RunError(
            f"A worker would compute {task.label!r} by other code, or on other versions of torch or transformers.",
            where=task.function,
            fix="Install the same versions wherever workers run; change no code while a run works.",
        )
    return function, arguments


@cache
def argument_types(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """What reads and writes each argument as JSON, by the function's type hints."""
    hints = get_type_hints(function, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items() if name not in ("folder", "return")}


def fault_of(error: BaseException, traceback: str) -> Fault:
    """`error` as it goes to the process that holds the run."""
    if isinstance(error, SuperalignError):
        return Fault(kind=type(error).__name__, what=error.what, where=error.where, fix=error.fix, traceback=traceback)
    return Fault(kind=type(error).__name__, what=str(error), traceback=traceback)


def raised(fault: Fault) -> Exception:
    """The error to raise here: of the same class if it is one of ours, else a RuntimeError with the worker's traceback
    as its note.
    """
    kind = getattr(errors, fault.kind, None)
    error: Exception
    if isinstance(kind, type) and issubclass(kind, SuperalignError):
        error = kind.__new__(kind)
        SuperalignError.__init__(error, fault.what, where=fault.where, fix=fault.fix)
    else:
        error = RuntimeError(f"{fault.kind}: {fault.what}")
    error.add_note(fault.traceback)
    return error
