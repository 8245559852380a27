"""Finished steps on disk, each under the digest of everything that its result depends on."""

from __future__ import annotations

import errno
import inspect
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import Field, ValidationError

from superalign.contracts.errors import RunError
from superalign.contracts.records import Cost, Record
from superalign.provenance.digest import canonical_json, digest, file_digests
from superalign.runs.code_version import code_version
from superalign.runs.cost import metered
from superalign.runs.disk import sync_folder, write_atomically

Value = TypeVar("Value", bound=Record)
Part = TypeVar("Part", bound=Record)
Value_co = TypeVar("Value_co", bound=Record, covariant=True)
RESULT = "result.json"
# A folder of a step's for what tells how its result came about. It is signed and dated, another in every process, and
# so no part of what the step's digest is of.
TRANSCRIPTS = "transcripts"
SECONDS_TO_SHOW = 60.0  # network file systems may go on saying for 30 s that what was not there is not there


@dataclass(frozen=True)
class Done(Generic[Value_co]):
    """A finished step. Handed to another step as an argument it counts by `digest`, that of its value and files."""

    key: str
    folder: Path
    value: Value_co
    cost: Cost
    digest: str

    def part(self, name: str, value: Part) -> Done[Part]:
        """What this step left in its folder's folder `name`, as if it were a step's of its own; `value` is its own
        part of the value.
        """
        return Done(
            f"{self.key}/{name}", self.folder / name, value, self.cost, digest({"of": self.digest, "part": name})
        )


class StepResult(Record):
    """`result.json`, written last: a step's folder without a sound one is no step."""

    format: Literal[1] = 1
    key: str
    function: str
    label: str
    arguments: dict[str, str]
    value: Any
    cost: Cost
    files: dict[str, str]
    digest: str
    given_up: bool = Field(False, description="The value only stands for a result that could not be computed here.")


class DamagedStep(Exception):
    """A step's folder is not what was written; the text says why."""


class StepStore:
    """The steps of one run, and a look over the fence at those of its sibling runs in the same root."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self.folder = run_folder / "steps"
        self.folder.mkdir(exist_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half done. Only for the holder of the run's lock."""
        for partial in self.folder.glob(".partial-*"):
            shutil.rmtree(partial, ignore_errors=True)  # a worker of a killed run may not be quite dead yet

    def find(self, key: str, function: Callable[..., Value]) -> Done[Value] | None:
        """The step from this run, else from a sibling. DamagedStep when this run's own is not what was written."""
        own = self.folder / key
        if not own.exists() and not self._adopt(key, function):
            return None
        return _load(own, key, function)

    def wait_for(self, key: str, function: Callable[..., Value]) -> Done[Value]:
        """The step that another process has put in place, as soon as it shows here. RunError when it does not."""
        own, deadline = self.folder / key, time.monotonic() + SECONDS_TO_SHOW
        while not own.exists():
            if time.monotonic() > deadline:
                raise RunError(
                    "What a worker has computed does not show up in the run's folder.",
                    where=str(own),
                    fix="Name a folder for runs on a file system that all nodes share: --runs DIR.",
                )
            time.sleep(0.1)
        return _load(own, key, function)

    def exists(self, key: str) -> bool:
        """Whether this run or a sibling has the step, sound or not."""
        return (self.folder / key).exists() or any(self._run_folder.parent.glob(f"*/steps/{key}"))

    def compute(
        self,
        key: str,
        label: str,
        function: Callable[..., Value],
        arguments: Mapping[str, Any],
        limit: AbstractContextManager[None] | None = None,
    ) -> Done[Value]:
        """Do the work in a hidden folder, then put the step in place by one rename. `limit` holds for the work alone:
        what it cuts short leaves nothing.
        """
        partial = self._partial(key)
        try:
            with metered() as meter, limit or nullcontext():
                value = function(partial, **arguments)
            result = _result(partial, key, label, function, arguments, value, meter.cost())
            return self._keep(partial, result, function)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def give_up(
        self,
        key: str,
        label: str,
        function: Callable[..., Value],
        arguments: Mapping[str, Any],
        value: Value,
        cost: Cost,
    ) -> Done[Value]:
        """Let `value` stand for a result that could not be computed. This run keeps it; others try again."""
        partial = self._partial(key)
        result = _result(partial, key, label, function, arguments, value, cost)
        return self._keep(partial, result.model_copy(update={"given_up": True}), function)

    def set_aside(self, key: str) -> Path:
        """Move a damaged step out of the way, keeping it for whoever wants to look; returns where it went."""
        number = len(list(self.folder.glob(f".damaged-{key}-*"))) + 1
        return (self.folder / key).rename(self.folder / f".damaged-{key}-{number}")

    def _adopt(self, key: str, function: Callable[..., Value]) -> bool:
        """Link a sibling run's sound step into this run."""
        for source in sorted(self._run_folder.parent.glob(f"*/steps/{key}")):
            try:
                result = _read(source, key)
                _done(source, result, function)
            except (DamagedStep, OSError):
                continue  # that run will find out itself
            if result.given_up:
                continue
            partial = self._partial(key)
            try:
                shutil.copytree(source, partial, copy_function=_link_or_copy, dirs_exist_ok=True)
                self._put_in_place(partial, key)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            return True
        return False

    def _partial(self, key: str) -> Path:
        partial = self.folder / f".partial-{key}-{token_hex(4)}"
        partial.mkdir()
        return partial

    def _keep(self, partial: Path, result: StepResult, function: Callable[..., Value]) -> Done[Value]:
        """Put a step in place with its result; if another process was faster, the step is what that one left."""
        done = _done(self.folder / result.key, result, function)
        write_atomically(partial / RESULT, result.model_dump_json(indent=1))
        try:
            self._put_in_place(partial, result.key)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(partial)
            return _load(self.folder / result.key, result.key, function)
        return done

    def _put_in_place(self, partial: Path, key: str) -> None:
        partial.rename(self.folder / key)
        sync_folder(self.folder)


def step_key(function: Callable[..., Record], arguments: Mapping[str, Any]) -> str:
    """Digest of the function's name, its code version and its arguments. TypeError for arguments that can't count."""
    counted = {name: _by_digest(argument) for name, argument in arguments.items()}
    code = code_version(function.__module__)
    return digest({"function": function_name(function), "code": code, "arguments": counted})


def function_name(function: Callable[..., Any]) -> str:
    """Dotted name of a module-level function. TypeError for a lambda, a method or a nested function."""
    if not inspect.isfunction(function) or "." in function.__qualname__ or function.__name__ == "<lambda>":
        raise TypeError(f"A step must be a function at module level, which {function!r} is not.")
    return f"{function.__module__}.{function.__qualname__}"


def record_type(function: Callable[..., Value]) -> type[Value]:
    """The Record that `function` is declared to return. TypeError when it declares none."""
    declared = get_type_hints(function).get("return")
    if not (isinstance(declared, type) and issubclass(declared, Record)):
        raise TypeError(f"{function_name(function)} must declare which Record it returns, not {declared}.")
    return declared  # type: ignore[return-value]  # issubclass can't narrow to a TypeVar


def _by_digest(argument: Any) -> Any:
    match argument:
        case Done():
            return {"done": argument.digest}
        case Record():
            return {"record": type(argument).__qualname__, "value": argument}
        case Mapping():
            return {"mapping": {key: _by_digest(item) for key, item in argument.items()}}
        case list() | tuple():
            return [_by_digest(item) for item in argument]
        case None | bool() | int() | float() | str():
            return argument
        case _:
            raise TypeError(
                f"{argument!r} can't be an argument of a step: give JSON values, records and finished steps. "
                "A path says nothing about what lies there; pass its digest, or the step that made it."
            )


def _result(
    folder: Path,
    key: str,
    label: str,
    function: Callable[..., Value],
    arguments: Mapping[str, Any],
    value: Value,
    cost: Cost,
) -> StepResult:
    """What is to be written of a step whose files lie in `folder`."""
    if not isinstance(value, record_type(function)):
        raise TypeError(f"{function_name(function)} returned {type(value).__name__}, not what it declares.")
    files = file_digests(folder)
    if RESULT in files:
        raise ValueError(f"{function_name(function)} wrote {RESULT}, which is the store's own file.")
    # The value goes through JSON even now, so that a first run and a resumed one see the very same.
    plain = json.loads(canonical_json(value))
    return StepResult(
        key=key,
        function=function_name(function),
        label=label,
        arguments={name: digest(_by_digest(argument)) for name, argument in arguments.items()},
        value=plain,
        cost=cost,
        files=files,
        digest=_counted(plain, files),
    )


def _counted(value: Any, files: Mapping[str, str]) -> str:
    """The digest of a step."""
    result = {name: found for name, found in files.items() if not name.startswith(f"{TRANSCRIPTS}/")}
    return digest({"value": value, "files": result})


def _load(folder: Path, key: str, function: Callable[..., Value]) -> Done[Value]:
    return _done(folder, _read(folder, key), function)


def _read(folder: Path, key: str) -> StepResult:
    """The step's `result.json`, with its files checked against it."""
    try:
        result = StepResult.model_validate_json((folder / RESULT).read_bytes())
    except FileNotFoundError:
        raise DamagedStep(f"{RESULT} is missing") from None
    except ValidationError:
        raise DamagedStep(f"{RESULT} is truncated or was changed") from None
    if result.key != key:
        raise DamagedStep("it is another step's folder")
    found = file_digests(folder)
    del found[RESULT]
    for name in sorted(found.keys() | result.files.keys()):
        if found.get(name) != result.files.get(name):
            raise DamagedStep(f"{name} is missing, changed or not part of it")
    return result


def _done(folder: Path, result: StepResult, function: Callable[..., Value]) -> Done[Value]:
    if result.digest != _counted(result.value, result.files):
        raise DamagedStep(f"the value in {RESULT} was changed")
    try:
        value = record_type(function).model_validate_json(json.dumps(result.value))
    except ValidationError:
        raise DamagedStep(f"the value in {RESULT} does not fit {record_type(function).__name__}") from None
    return Done(result.key, folder, value, result.cost, result.digest)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
