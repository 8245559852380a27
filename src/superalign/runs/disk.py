"""Writing to disk so that a killed process, a full disk or a second process can't do harm."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from superalign.contracts.errors import RunError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
# Libraries written in other languages (safetensors, parquet) report the system's error as text only.
_FULL_IN_WORDS = re.compile(r"No space left on device|os error 28\b|disk is full|Disk quota exceeded")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file, or leave what was there. On disk when this returns."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename within `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk or missing permission, however deep it happened, into a RunError that says what to do."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        if _is_full(error):
            free = shutil.disk_usage(folder).free / 1e6
            raise RunError(
                f"The disk ran full; {free:,.1f} MB are free after cleaning up.",
                where=str(getattr(error, "filename", None) or folder),
                fix="Free some space and run the same command again: finished steps are kept and will be reused.",
            ) from error
        if isinstance(error, OSError) and error.errno in _FORBIDDEN:
            raise RunError(
                f"No permission: {error.strerror}.",
                where=str(error.filename or folder),
                fix="Give this user access to it, or choose another folder for runs; finished steps are kept.",
            ) from error
        raise


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if (isinstance(error, OSError) and error.errno in _FULL) or _FULL_IN_WORDS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


class FolderLock:
    """Held by the one process that may work in a folder. The system lets go of it when the process dies."""

    def __init__(self, folder: Path) -> None:
        """Take the lock; RunError with the holder's process id when another has it."""
        self._file = (folder / ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise RunError(
                f"Another superalign process (pid {holder}) is working in this run.",
                where=str(folder),
                fix=f"Wait until it ends, or stop it with `kill {holder}`; nothing will be lost.",
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        if not self._file.closed:
            self._file.truncate(0)  # a process that was killed leaves its number
            self._file.close()


def work_in(folder: Path) -> Literal["going on", "ended", "cut off"]:
    """Whether a process holds the folder's lock, has let go of it, or was killed with it."""
    try:
        with (folder / ".lock").open(encoding="utf-8") as file:
            if not file.read(1):
                return "ended"
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return "cut off"
    except FileNotFoundError:
        return "ended"
    except BlockingIOError:
        return "going on"
