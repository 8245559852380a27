"""A time limit on what runs in this process, where nobody else can end it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SECONDS_BETWEEN_RINGS = 1.0  # until it ends: a finalizer that happens to run would swallow the first


class TimeIsUp(BaseException):
    """What ran longer than it may. No Exception, so that code which goes on after any of these does not go on."""


def can_limit() -> bool:
    """Whether this thread can be limited: signals reach the main one alone."""
    return current_thread() is main_thread()


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeIsUp within the block after so many seconds. A call into other languages, such as a product of
    matrices, is not cut short: the error comes when it is done.
    """

    def ring(signal_number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, SECONDS_BETWEEN_RINGS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
