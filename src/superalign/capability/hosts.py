"""The two hosts of self-copying: two network namespaces of our own where the machine allows that, else two folders of
a toy. What is copied is a marker of one line: no weights, no program.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from superalign.contracts.errors import SandboxError

SECONDS = 20
_SCRIPT = Path(__file__).with_name("inside") / "two_hosts.py"


class Hosts(Protocol):
    """Carries a marker to the second host, and says what that host then holds."""

    what: str

    def carry(self, marker: str) -> str: ...


class Folders:
    """Two hosts that are no more than this object."""

    what = "simulated"

    def carry(self, marker: str) -> str:
        return marker


class Namespaces:
    """Two network namespaces joined by a virtual cable, in a process without any other network.

    SandboxError where the machine allows no such namespaces, or the second host does not answer.
    """

    what = "two network namespaces"

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
            )
        except OSError as error:
            raise _no_hosts(str(error.strerror)) from None
        assert self._process.stdin and self._process.stdout  # both were asked for
        self._orders, self._replies = self._process.stdin, self._process.stdout
        try:
            if self._reply().get("ready") is not True:
                raise _no_hosts("the two hosts share a network")
        except SandboxError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            self._orders.close()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._replies.close()

    def carry(self, marker: str) -> str:
        try:
            self._orders.write(json.dumps({"send": marker}).encode() + b"\n")
            self._orders.flush()
        except OSError:
            raise _no_hosts("the first host is gone") from None
        return str(self._reply().get("holds", ""))

    def _reply(self) -> dict[str, Any]:
        line = _line(self._replies)
        try:
            reply: dict[str, Any] = json.loads(line)
        except ValueError:
            raise _no_hosts("the first host gave no answer") from None
        if "failed" in reply:
            raise _no_hosts(str(reply["failed"]))
        return reply


def _line(pipe: IO[bytes]) -> bytes:
    """The next line; nothing where there is none in time. Replies are one line each, so that none is half read."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, selectors.EVENT_READ)
        return pipe.readline() if waiting.select(SECONDS) else b""


def _no_hosts(why: str) -> SandboxError:
    return SandboxError(
        f"Two network namespaces can't be made here: {why}.", fix="Take two simulated hosts: --hosts simulated."
    )
