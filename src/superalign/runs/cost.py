"""Meters: what a piece of work took. Deep code counts; whoever opened a meter around it reads the total."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from superalign.contracts.records import Cost


class Meter:
    """Adds up what is counted while it is open, and the monotonic seconds that pass."""

    def __init__(self) -> None:
        self._counted = self._reused = Cost()
        self._started = time.monotonic()
        self._ended: float | None = None

    def cost(self) -> Cost:
        """The cost so far; the final cost once the meter is closed."""
        ended = time.monotonic() if self._ended is None else self._ended
        return self._counted + Cost(seconds=ended - self._started)

    @property
    def alone(self) -> Cost:
        """The cost as if nothing had been reused: what it would be by itself."""
        return self.cost() + self._reused

    def add(self, cost: Cost) -> None:
        self._counted += cost

    def add_reused(self, cost: Cost) -> None:
        self._reused += cost

    def stop(self) -> None:
        self._ended = time.monotonic()


_open_meters: ContextVar[tuple[Meter, ...]] = ContextVar("open_meters", default=())


@contextmanager
def metered() -> Iterator[Meter]:
    """Open a meter. Meters nest: what is counted goes into every one that encloses it."""
    meter = Meter()
    token = _open_meters.set((*_open_meters.get(), meter))
    try:
        yield meter
    finally:
        _open_meters.reset(token)
        meter.stop()


def count(*, tokens: int = 0, forward_passes: int = 0, human_seconds: float = 0.0) -> None:
    """Add to every enclosing meter; does nothing outside of one."""
    cost = Cost(tokens=tokens, forward_passes=forward_passes, human_seconds=human_seconds)
    for meter in _open_meters.get():
        meter.add(cost)


def count_reused(cost: Cost) -> None:
    """Tell every enclosing meter what something took that was done before and is used again."""
    for meter in _open_meters.get():
        meter.add_reused(cost)
