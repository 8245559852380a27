"""Processes with limits: whatever solves or checks runs in one, and is killed when its time is up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

LIMITED = Path(__file__).with_name("limited.py")
MOST_SAID = 2**26  # bytes of what a process prints that are read
SECONDS_BETWEEN_LOOKS = 0.01


@dataclass(frozen=True)
class Limits:
    """`deadline` on the monotonic clock, and bytes of memory for each process."""

    deadline: float
    memory: int

    @property
    def seconds(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


@dataclass(frozen=True)
class Ended:
    """What a process printed, and its exit code; `lost` says why it came to no end of its own, if it did not."""

    code: int
    said: str
    lost: str = ""


class Process:
    """A command that runs beside us in a session of its own, with what it prints kept in a file without a name."""

    def __init__(
        self, command: Sequence[str], memory: int, folder: Path | None = None, *, errors: bool = False
    ) -> None:
        self._printed = TemporaryFile()  # noqa: SIM115, kill closes it
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(LIMITED), str(memory), str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._printed,
            stderr=self._printed if errors else subprocess.DEVNULL,
            start_new_session=True,
            cwd=folder,
        )

    def ended(self) -> Ended | None:
        """None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        self._printed.seek(0)
        said = self._printed.read(MOST_SAID).decode("utf-8", "replace")
        died = f"it was ended by {signal.Signals(-code).name}, as for want of memory" if code < 0 else ""
        return Ended(code, said, died)

    def kill(self) -> None:
        """End it and all that it started, and wait for it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._printed.close()


def run(command: Sequence[str], limits: Limits, folder: Path | None = None, *, errors: bool = False) -> Ended:
    """How the command ends within its limits. `errors`: what it says on stderr is read, too."""
    process = Process(command, limits.memory, folder, errors=errors)
    try:
        while limits.seconds > 0:
            if ended := process.ended():
                return ended
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return Ended(-signal.SIGKILL, "", "its time was up")
    finally:
        process.kill()
