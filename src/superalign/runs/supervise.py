"""Keeps one worker process: gives it cells, ends it when it hangs, replaces it when it died."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from superalign.contracts.errors import RunError
from superalign.runs.cells import Outcome, Reply, Task

WORKER = "superalign.runs.worker"
ATTEMPTS = 3  # at a cell whose worker died
SECONDS_TO_START = 600.0  # until the code of a cell is imported: from a busy network disk torch can take minutes
SECONDS_BETWEEN_LOOKS = 1.0  # at whether a silent worker is still alive
LAST_BYTES = 1000


class WorkerDied(Exception):
    """A worker ended before its reply; the text says how, as what it did."""


class Supervisor:
    """A worker keeps open models and fitted detectors from cell to cell, as long as it lives."""

    def __init__(self, log: Path, threads: int | None = None) -> None:
        """`log` takes what cells print; `threads` is how many they compute with, by default as many as here."""
        self._log, self._threads = log, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._starting, self._stopped = Lock(), False

    def computed(self, task: Task) -> Outcome:
        """How `task` ended: lost if it took longer than its time limit, or if its worker died of it time and again.

        RunError when no worker can be started.
        """
        began, lost = time.monotonic(), ""
        for _ in range(ATTEMPTS):
            try:
                return Outcome(key=task.key, fault=self._reply(task).fault)
            except TimeoutError:
                lost = f"took longer than {task.time_limit:g} s"
                break
            except WorkerDied as death:
                lost = f"{death}, {ATTEMPTS} times in a row"
        return Outcome(key=task.key, lost=lost, seconds=time.monotonic() - began)

    def stop(self) -> None:
        """End the worker for good. May be called while another thread waits in `computed`."""
        with self._starting:
            self._stopped = True
            self._kill()

    def close(self) -> None:
        """End the worker for good and let go of its pipes, when no thread waits for it."""
        self.stop()
        self._end()

    def _reply(self, task: Task) -> Reply:
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            self._send(task.model_dump_json().encode() + b"\n")
            reply = self._read(SECONDS_TO_START)
            return self._read(task.time_limit) if reply.kind == "started" else reply
        except BaseException:
            self._end()
            raise

    def _start(self) -> None:
        self._end()
        with self._starting:
            if self._stopped:
                raise RuntimeError("This worker was ended for good.")
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                # -P: what lies in the working directory is not to be taken for a library.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", WORKER],
                    env=self._environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,  # so that all that a cell has started can be ended with it
                )
        try:
            self._read(SECONDS_TO_START)
        except (WorkerDied, TimeoutError) as failure:
            raise RunError(
                f"A worker process could not be started: it {failure}.",
                where=str(self._log),
                fix=f"That file ends in: {last_words(self._log)}",
            ) from None

    def _send(self, line: bytes) -> None:
        assert self._process and self._process.stdin
        with suppress(BrokenPipeError):  # a worker that died meanwhile shows when its reply is read
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self, seconds: float) -> Reply:
        """The worker's next reply. TimeoutError when there is none in that time, WorkerDied when there will be none."""
        assert self._process and self._process.stdout
        source, deadline = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("did not answer in time")
            if select.select([source], [], [], min(left, SECONDS_BETWEEN_LOOKS))[0]:
                more = os.read(source, 1 << 16)
            elif self._process.poll() is None:
                continue
            else:  # what it had started holds its end of the pipe
                more = b""
            if not more:
                raise WorkerDied(how_it_ended(self._process))
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            return Reply.model_validate_json(line)
        except ValidationError:
            raise WorkerDied("wrote into the pipe that its worker replies by") from None

    def _kill(self) -> None:
        if process := self._process:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _end(self) -> None:
        self._kill()
        if self._process:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with suppress(BrokenPipeError):  # what could not be sent any more
                        pipe.close()
        self._process, self._unread = None, b""

    def _environment(self) -> dict[str, str]:
        """This process's, with the same modules in reach."""
        found = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        return found | ({"OMP_NUM_THREADS": str(self._threads)} if self._threads else {})


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """What became of a worker whose pipe has closed."""
    try:
        code = process.wait(timeout=SECONDS_BETWEEN_LOOKS)
    except subprocess.TimeoutExpired:
        return "closed the pipe that its worker replies by"
    if code >= 0:
        return f"ended its process with exit code {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    return f"was ended by {name}"


def last_words(log: Path) -> str:
    """The end of a log."""
    return " ".join(log.read_bytes()[-LAST_BYTES:].decode(errors="replace").split()) or "nothing"
