"""Keeps what libraries print out of the way: it goes to a log file of the run, and the person sees the display only."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO, cast

# Read by libraries when they are imported, which for heavy ones is after this.
_SILENCE = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


class _LibraryStream(io.TextIOBase):
    """Writes to the log while it is open, to the real stream after: libraries may keep hold of it for good."""

    def __init__(self, log: TextIO, real: TextIO) -> None:
        self._log, self._real = log, real

    def write(self, text: str) -> int:
        return (self._real if self._log.closed else self._log).write(text)

    def flush(self) -> None:
        (self._real if self._log.closed else self._log).flush()


@contextmanager
def quiet_libraries(log: Path) -> Iterator[None]:
    """Within, prints, warnings, progress bars and log messages of libraries are appended to the file `log`.

    A display made before keeps writing to the real stderr. Environment, streams and log handlers are restored after.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    real = (sys.stdout, sys.stderr)
    with ExitStack() as stack:
        file = stack.enter_context(log.open("a", encoding="utf-8", buffering=1))
        stack.enter_context(_environment(_SILENCE))
        out, err = _LibraryStream(file, real[0]), _LibraryStream(file, real[1])
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        for handler in _stream_handlers():
            if handler.stream in real:
                stack.callback(handler.setStream, handler.stream)
                handler.setStream(cast(TextIO, err))
        yield


def _stream_handlers() -> list[logging.StreamHandler[TextIO]]:
    """Handlers of libraries that were imported before: each holds the stream that it was made with."""
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    handlers = [handler for logger in loggers for handler in getattr(logger, "handlers", ())]
    return [handler for handler in handlers if isinstance(handler, logging.StreamHandler)]


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
