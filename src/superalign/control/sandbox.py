"""Runs a Python program that nobody vouches for: confined, limited, and heard through one pipe only.

What it emits there is its answer. What it prints is kept for a person to read and is never data. There is no way to run
a program unconfined: where a required layer is missing, `SandboxError` says which.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, ClassVar

from superalign.contracts.control import Limits
from superalign.contracts.errors import InputError, SandboxError
from superalign.contracts.records import Record, Unscored
from superalign.control import confinement, self_test
from superalign.control.confinement import ENVIRONMENT, NOBODY, PYTHON, SCIENCE, View, landlock_version
from superalign.control.escaped import escaped
from superalign.control.system_calls import filter_file

SAID_BYTES = 4096
_INSIDE = Path(__file__).with_name("inside")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SIGNALS = {
    24: "it used all of its processor time",
    25: "it wrote a file past its limit",
    31: "it was killed for a forbidden system call",
}


class Tier(Record):
    """The layers that confine here, and those that this machine can't offer."""

    layers: tuple[str, ...]
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([*self.layers, *(f"no {layer}" for layer in self.missing)])


class Ran(Record):
    """A program that ended well. `answer` is what it wrote to its pipe, `said` the end of what it printed, escaped."""

    answer: bytes
    said: str
    seconds: float


@dataclass(frozen=True)
class Ended:
    """How a confined process ended, by whatever way."""

    answer: bytes
    said: str
    seconds: float
    exit_code: int | None  # None for bubblewrap's own failure: the program never began
    killed: str | None  # why the parent killed it
    namespaces: Mapping[str, int]


class Sandbox:
    """Confines programs to `limits`, and shows them `packages` and nothing else that is installed.

    A program is a file, run as `/program/NAME` by a Python like this one. Its answer goes to the open file whose number
    is in the environment as `ANSWER_FD`. It may write to `/scratch`, which is empty at first and gone afterwards.
    """

    _tested: ClassVar[dict[type[Sandbox], self_test.SelfTest]] = {}

    def __init__(self, limits: Limits | None = None, packages: Iterable[str] | None = None) -> None:
        self.limits = limits or Limits()
        self.packages = tuple(packages) if packages is not None else tuple(filter(find_spec, SCIENCE))

    @property
    def tier(self) -> Tier:
        """What confines here. Runs the self-test where this process has not yet; SandboxError when it fails."""
        self.ready()
        landlock = landlock_version()
        layers = ["namespaces", "seccomp", "rlimits", "read-only root"]
        missing = []
        if os.geteuid() == 0:
            layers.append(f"user {NOBODY}")
        else:
            missing.append("separate user")
        if landlock:
            layers.append(f"Landlock {landlock}")
        else:
            missing.append("Landlock")
        return Tier(layers=tuple(layers), missing=tuple(missing))

    def ready(self) -> self_test.SelfTest:
        """Try to escape, once in a process. SandboxError when an attempt succeeds, or nothing can be confined here."""
        if type(self) not in self._tested:
            result = self_test.escape(self)
            if not result.held:
                raise SandboxError(
                    "The sandbox does not hold, so nothing is run in it.",
                    where="; ".join(f"{attempt.name}: {attempt.outcome}" for attempt in result.escapes),
                    fix="Look at `superalign doctor`.",
                )
            self._tested[type(self)] = result
        return self._tested[type(self)]

    def run(
        self,
        program: Path,
        arguments: Sequence[str] = (),
        readable: Mapping[str, Path] | None = None,
        limits: Limits | None = None,
    ) -> Ran | Unscored:
        """Run `program` with `readable` files and folders under `/data`, by name.

        SandboxError when there is no sandbox here; InputError for a file that is missing, badly named, or that the user
        inside can't read. Whatever the program does wrong is Unscored.
        """
        self.ready()
        ended = self.confine(program, arguments, readable or {}, limits or self.limits)
        if ended.exit_code is None and ended.killed is None:
            raise SandboxError("Bubblewrap could not confine the program.", where=ended.said.strip()[-300:] or None)
        reason = ended.killed or _failure(ended)
        if reason is None and not ended.answer:
            reason = "it ended without an answer"
        if reason is not None:
            return Unscored(reason=reason)
        return Ran(answer=ended.answer, said=ended.said, seconds=ended.seconds)

    def confine(self, program: Path, arguments: Sequence[str], readable: Mapping[str, Path], limits: Limits) -> Ended:
        """Run it whatever comes of it, without asking whether the sandbox holds: for `run` and for the self-test."""
        extra = {f"/program/{_named(program.name)}": program}
        extra |= {f"/data/{_named(name)}": path for name, path in readable.items()}
        for path in extra.values():
            _check_readable(path)
        extra |= {"/launch/launch.py": _INSIDE / "launch.py"}
        landlock = landlock_version() is not None
        if landlock and (spec := find_spec("py_landlock")) and spec.submodule_search_locations:
            extra["/launch/py_landlock"] = Path(spec.submodule_search_locations[0])
        seen = confinement.view(self.packages, {inside: path.resolve() for inside, path in extra.items()})
        orders = json.dumps(_orders(seen, limits, landlock))
        inner = [PYTHON, "-I", "-S", "/launch/launch.py", orders, f"/program/{program.name}", *arguments]
        with ExitStack() as open_files:
            answer, answer_end = _pipe(open_files)
            status, status_end = _pipe(open_files)
            said, said_end = _pipe(open_files)
            seccomp = filter_file()
            open_files.callback(os.close, seccomp)
            variables = ENVIRONMENT | {"ANSWER_FD": str(answer_end.fileno())}
            confined = self.command(seen, limits, seccomp, status_end.fileno(), variables)
            started = time.monotonic()
            try:
                process = subprocess.Popen(
                    [*confined, *inner],
                    stdin=subprocess.DEVNULL,
                    stdout=said_end,
                    stderr=said_end,
                    pass_fds=(seccomp, status_end.fileno(), answer_end.fileno()),
                    env={},  # what bubblewrap itself was given can be read by what it starts
                    start_new_session=True,
                    cwd="/",
                )
            except OSError as problem:
                raise SandboxError(f"Bubblewrap can't be started: {problem.strerror}.", where=confined[0]) from None
            try:
                for end in (answer_end, status_end, said_end):
                    end.close()
                heard = _listen(
                    answer.fileno(), said.fileno(), status.fileno(), started + limits.seconds, limits.answer_bytes
                )
            finally:
                _kill(process)
        exit_code, namespaces = _status(heard.status)
        text = escaped(heard.said.decode(errors="backslashreplace"))
        return Ended(heard.answer, text, time.monotonic() - started, exit_code, heard.killed, namespaces)

    def command(self, seen: View, limits: Limits, seccomp: int, status: int, variables: Mapping[str, str]) -> list[str]:
        """What to execute before the program's own command."""
        return confinement.command(seen, limits, seccomp, status, variables)


def _orders(seen: View, limits: Limits, landlock: bool) -> dict[str, object]:
    """For the launcher: what to give up before the program begins."""
    return {
        "limits": {
            "RLIMIT_AS": limits.memory_bytes,
            "RLIMIT_CPU": limits.cpu_seconds,
            "RLIMIT_FSIZE": limits.disk_bytes,
            # Counted by user and user namespace (since Linux 5.14), and so for this program alone.
            "RLIMIT_NPROC": limits.threads + 1,  # bubblewrap's first process counts too
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
        },
        "landlock": landlock,
        "path": ["/packages"],
        "readable": sorted({"/scratch", "/dev", *(_top(path) for path in seen.paths)}),
        "writable": ["/scratch"],
    }


def _top(path: str) -> str:
    """The folder to open to a program, which is the outermost but for that of libraries."""
    return path if path.startswith("/usr/") else "/" + path.split("/")[1]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Bubblewrap, and all inside by its --die-with-parent; its whole group too, where it has not come that far."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _pipe(open_files: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Both ends, closed with `open_files` at the latest."""
    reading, writing = os.pipe()
    return (
        open_files.enter_context(os.fdopen(reading, "rb", buffering=0)),
        open_files.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )


@dataclass
class _Heard:
    answer: bytes = b""
    said: bytes = b""
    status: bytes = b""
    killed: str | None = None


def _listen(answer: int, said: int, status: int, deadline: float, most: int) -> _Heard:
    """Read all pipes until the last of their writers is gone, or there is a reason to kill it."""
    heard, collected = _Heard(), bytearray()
    with selectors.DefaultSelector() as pipes:
        for pipe in (answer, said, status):
            pipes.register(pipe, selectors.EVENT_READ)
        while pipes.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                heard.killed = "it did not end in time"
                break
            for key, _ in pipes.select(left):
                chunk = os.read(key.fd, 2**16)
                if not chunk:
                    pipes.unregister(key.fd)
                elif key.fd == answer:
                    collected += chunk
                elif key.fd == said:
                    heard.said = (heard.said + chunk)[-SAID_BYTES:]
                else:
                    heard.status = (heard.status + chunk)[-SAID_BYTES:]
            if len(collected) > most:
                heard.killed = f"its answer is longer than {most} bytes"
                break
    heard.answer = bytes(collected[:most])
    return heard


def _status(lines: bytes) -> tuple[int | None, dict[str, int]]:
    """The exit code, and the namespaces by their names, from what bubblewrap itself reports."""
    exit_code: int | None = None
    namespaces: dict[str, int] = {}
    for line in lines.splitlines():
        try:
            report = json.loads(line)
        except ValueError:
            continue
        exit_code = report.get("exit-code", exit_code)
        namespaces |= {key.removesuffix("-namespace"): value for key, value in report.items() if "namespace" in key}
    return exit_code, namespaces


def _failure(ended: Ended) -> str | None:
    """Why an exit code is a failure, in words."""
    if not ended.exit_code:
        return None
    if reason := _SIGNALS.get(ended.exit_code - 128):
        return reason
    if ended.exit_code == 128 + 9:
        return "it was killed, most likely for its memory or its processor time"
    last = (ended.said.strip().splitlines() or [f"exit code {ended.exit_code}"])[-1]
    if last.startswith(("MemoryError", "numpy._core._exceptions._ArrayMemoryError")):
        return "it needed more memory than it may have"
    return f"it crashed: {last[:300]}"


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} can't be the name of a file in the sandbox.", fix="Use letters, digits, - and _.")
    return name


def _check_readable(path: Path) -> None:
    """Root's own files are not for the user inside, unless they are for everyone."""
    try:
        mode = path.stat().st_mode
    except OSError as problem:
        raise InputError(f"It can't be shown to the sandbox: {problem.strerror}.", where=str(path)) from None
    needed = 0o005 if path.is_dir() else 0o004
    if os.geteuid() == 0 and mode & needed != needed:
        raise InputError(
            f"User {NOBODY}, as whom programs run, can't read it.", where=str(path), fix=f"chmod a+rX {path}"
        )
