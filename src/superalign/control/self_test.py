"""Does the sandbox hold? Attempts to escape, made from inside of it by a program of our own."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from superalign.contracts.control import MEBIBYTE, Limits
from superalign.contracts.errors import SandboxError
from superalign.contracts.records import Record
from superalign.control.confinement import ENVIRONMENT, landlock_version

if TYPE_CHECKING:
    from superalign.control.sandbox import Ended

_ATTEMPTS = Path(__file__).with_name("inside") / "attempts.py"
_LIMITS = Limits(seconds=60, cpu_seconds=30, memory_bytes=256 * MEBIBYTE, threads=8, disk_bytes=MEBIBYTE)
_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


class Attempt(Record):
    """One attempt to get out. `outcome` says what it reached, or that it reached nothing."""

    name: str
    stopped: bool
    outcome: str


class SelfTest(Record):
    """All attempts. The sandbox held when every one was stopped."""

    attempts: tuple[Attempt, ...]

    @property
    def held(self) -> bool:
        return bool(self.attempts) and not self.escapes

    @property
    def escapes(self) -> tuple[Attempt, ...]:
        return tuple(attempt for attempt in self.attempts if not attempt.stopped)


class Confines(Protocol):
    def confine(
        self, program: Path, arguments: Sequence[str], readable: Mapping[str, Path], limits: Limits
    ) -> Ended: ...


def escape(sandbox: Confines) -> SelfTest:
    """Try everything, in three runs of under a second. SandboxError when nothing can be run inside at all."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        canary = Path(folder) / "canary"
        canary.write_text("a program inside can't read this")
        canary.chmod(0o644)
        tried = _tried(sandbox, canary)
        tried += [_forbidden_call(sandbox, Path(folder)), _endless(sandbox, Path(folder))]
    return SelfTest(attempts=tuple(tried))


def _tried(sandbox: Confines, canary: Path) -> list[Attempt]:
    orders = {
        "outside": [str(canary), "/etc/passwd", "/proc/self/mounts", "/sys/kernel/notes", str(Path(__file__))],
        "elsewhere": ["", "/program", "/packages", "/python", "/python/lib", "/dev", "/dev/shm", "/tmp", "/usr/lib"],
        "parent": os.getpid(),
        "environment": [*ENVIRONMENT, "ANSWER_FD", "PWD", "LC_CTYPE"],
        "threads": _LIMITS.threads,
        "memory_bytes": _LIMITS.memory_bytes,
        "disk_bytes": _LIMITS.disk_bytes,
        "landlock": landlock_version() is not None,
    }
    ended = sandbox.confine(_ATTEMPTS, [json.dumps(orders)], {}, _LIMITS)
    if ended.exit_code != 0 or ended.killed:
        raise SandboxError(
            "Nothing can be confined on this machine, so nothing is run.",
            where=ended.killed or ended.said.strip()[-300:],
            fix="Allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 "
            "(Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), --privileged (Docker).",
        )
    reached: dict[str, list[str]] = json.loads(ended.answer)
    attempts = [
        Attempt(name=name, stopped=not found, outcome=f"reached {', '.join(found)}" if found else "reached nothing")
        for name, found in reached.items()
    ]
    shared = sorted(kind for kind in _KINDS if ended.namespaces.get(kind) in (None, _own_namespace(kind)))
    outcome = f"shares {', '.join(shared)}" if shared else "all its own"
    return [*attempts, Attempt(name="share a namespace", stopped=not shared, outcome=outcome)]


def _forbidden_call(sandbox: Confines, folder: Path) -> Attempt:
    """A new user namespace would bring all capabilities within it. It comes back as 0 where no filter is."""
    program = folder / "unshare.py"
    program.write_text("import ctypes, os; ctypes.CDLL(None).unshare(0); os.write(int(os.environ['ANSWER_FD']), b'x')")
    program.chmod(0o644)
    ended = sandbox.confine(program, (), {}, _LIMITS)
    stopped = not ended.answer and ended.exit_code == 128 + 31
    return Attempt(name="make a forbidden system call", stopped=stopped, outcome=f"exit code {ended.exit_code}")


def _endless(sandbox: Confines, folder: Path) -> Attempt:
    """Only the parent's clock ends this one."""
    program = folder / "endless.py"
    program.write_text("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n")
    program.chmod(0o644)
    ended = sandbox.confine(program, (), {}, _LIMITS.model_copy(update={"seconds": 0.5}))
    stopped = ended.killed is not None
    return Attempt(name="run past the time limit", stopped=stopped, outcome=ended.killed or "ended by itself")


def _own_namespace(kind: str) -> int:
    return Path(f"/proc/self/ns/{kind}").stat().st_ino
