"""What a person sees while a run works: bars with remaining time, timestamped lines, or nothing. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from superalign.contracts.errors import UnknownName

SECONDS_BETWEEN_LINES = 10.0  # how often the plain display reports from within a step


class Display(Protocol):
    """Shows a job made of steps. Use as a context; `plan` before the first step, if the steps are known."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def plan(self, expected: Mapping[str, float]) -> None:
        """The labels to come with their expected seconds; measured speed corrects these as the job goes on."""
        ...

    def start(self, label: str) -> None: ...

    def advance(self, done: float, total: float) -> None: ...

    def finish(self, label: str, seconds: float, reused: bool) -> None: ...

    def warn(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...


_shown_on: ContextVar[Display | None] = ContextVar("shown_on", default=None)


@contextmanager
def shown_on(display: Display) -> Iterator[None]:
    """Within, `advance` of this module reaches `display`."""
    token = _shown_on.set(display)
    try:
        yield
    finally:
        _shown_on.reset(token)


def advance(done: float, total: float) -> None:
    """Tell from anywhere how far the current step is; does nothing when nobody is watching."""
    if display := _shown_on.get():
        display.advance(done, total)


def make_display(name: str) -> Display:
    """The display called `rich`, `plain` or `none`. UnknownName otherwise."""
    displays: dict[str, Callable[[], Display]] = {"rich": RichDisplay, "plain": PlainDisplay, "none": NoDisplay}
    if name not in displays:
        raise UnknownName("display", name, displays)
    return displays[name]()


class Forecast:
    """Remaining seconds of a whole job, from the expected seconds of its steps and the speed measured so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, float] = {}
        self._expected = self._total = 0.0
        self._timed_weight = self._timed_seconds = 0.0
        self._label, self._started, self._fraction = "", 0.0, 0.0

    def plan(self, expected: Mapping[str, float]) -> None:
        self._waiting = dict(expected)
        self._total = sum(expected.values())
        # A small prior at the expected speed, so that the first percent of the first step doesn't decide everything.
        self._timed_weight = self._timed_seconds = 0.02 * self._total

    def start(self, label: str) -> None:
        self._label, self._started, self._fraction = label, self._clock(), 0.0

    def advance(self, done: float, total: float) -> None:
        self._fraction = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0

    def finish(self, label: str, seconds: float, reused: bool) -> None:
        weight = self._waiting.pop(label, 0.0)
        if weight and not reused:
            self._timed_weight += weight
            self._timed_seconds += seconds
        if label == self._label:  # not one of the cells of a step that goes on
            self._label, self._fraction = "", 0.0

    @property
    def within(self) -> bool:
        """Whether a step has started that has not finished."""
        return bool(self._label)

    def step_remaining(self) -> float | None:
        """Seconds left in the current step; None before it has advanced."""
        if not self._label or not self._fraction:
            return None
        return (self._clock() - self._started) * (1 - self._fraction) / self._fraction

    def remaining(self) -> float | None:
        """Seconds left in the whole job; None without a plan."""
        if not self._total:
            return None
        others = sum(weight for label, weight in self._waiting.items() if label != self._label)
        current = self._waiting.get(self._label, 0.0)
        elapsed = self._clock() - self._started if current else 0.0
        timed_weight, timed_seconds = self._timed_weight, self._timed_seconds
        if self._fraction:
            timed_weight += current * self._fraction
            timed_seconds += elapsed
        pace = timed_seconds / timed_weight
        left = self.step_remaining() if current else 0.0
        return pace * others + (max(pace * current - elapsed, 0.0) if left is None else left)

    def fraction(self) -> float:
        """How much of the planned work is done, from 0 to 1."""
        if not self._total:
            return 0.0
        current = self._waiting.get(self._label, 0.0) * self._fraction
        return 1 - (sum(self._waiting.values()) - current) / self._total


def duration(seconds: float) -> str:
    """A duration for people: `4.2 s`, `48 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


class NoDisplay:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def plan(self, expected: Mapping[str, float]) -> None: ...

    def start(self, label: str) -> None: ...

    def advance(self, done: float, total: float) -> None: ...

    def finish(self, label: str, seconds: float, reused: bool) -> None: ...

    def warn(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...


class PlainDisplay:
    """One timestamped line per event, for logs."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._forecast = Forecast(clock)
        self._label, self._last_line = "", 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def plan(self, expected: Mapping[str, float]) -> None:
        self._forecast.plan(expected)

    def start(self, label: str) -> None:
        self._forecast.start(label)
        self._label = label
        self._line(f"start   {label}")

    def advance(self, done: float, total: float) -> None:
        self._forecast.advance(done, total)
        if self._clock() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._line(f"at {done / total if total else 0:4.0%} {self._label}{self._outlook()}")

    def finish(self, label: str, seconds: float, reused: bool) -> None:
        self._forecast.finish(label, seconds, reused)
        self._line(f"reused  {label}" if reused else f"done    {label} in {duration(seconds)}{self._outlook()}")

    def warn(self, text: str) -> None:
        self._line(f"warning {text}")

    def note(self, text: str) -> None:
        self._line(f"note    {text}")

    def _outlook(self) -> str:
        remaining = self._forecast.remaining()
        return f", about {duration(remaining)} left" if remaining else ""

    def _line(self, text: str) -> None:
        self._last_line = self._clock()
        print(datetime.now().strftime("%H:%M:%S"), text, file=self._stream, flush=True)


class _TimeLeft(ProgressColumn):
    """Each bar brings its own estimate in the field `remaining`."""

    def render(self, task: Task) -> Text:
        seconds = task.fields["remaining"]()
        return Text("" if seconds is None else f"{duration(seconds)} left", style="progress.remaining")


class RichDisplay:
    """A bar for the current step and one for the whole job, with remaining times; a line per finished step above."""

    def __init__(self, console: Console | None = None) -> None:
        # The stream of now, not whatever `quiet_libraries` puts in its place.
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._forecast = Forecast()
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn(
                "{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
            ),
            BarColumn(bar_width=18),
            TaskProgressColumn(),
            _TimeLeft(table_column=Column(min_width=16, no_wrap=True, justify="right")),
            console=self._console,
            refresh_per_second=4,
            transient=True,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._step = self._bars.add_task("", total=None, visible=False, remaining=self._forecast.step_remaining)
        self._job = self._bars.add_task("whole job", total=1.0, visible=False, remaining=self._forecast.remaining)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def plan(self, expected: Mapping[str, float]) -> None:
        self._forecast.plan(expected)
        self._bars.update(self._job, visible=True, completed=0.0)

    def start(self, label: str) -> None:
        self._forecast.start(label)
        self._bars.reset(self._step, total=None, visible=True, description=label)

    def advance(self, done: float, total: float) -> None:
        self._forecast.advance(done, total)
        self._bars.update(self._step, completed=done, total=total)
        self._bars.update(self._job, completed=self._forecast.fraction())

    def finish(self, label: str, seconds: float, reused: bool) -> None:
        self._forecast.finish(label, seconds, reused)
        self._bars.update(self._step, visible=self._forecast.within)
        self._bars.update(self._job, completed=self._forecast.fraction())
        mark, took = ("=", "reused") if reused else ("✓", duration(seconds))
        width = self._console.width - len(mark) - 1
        line = Text(label, no_wrap=True)
        line.truncate(width - len(took) - 1, overflow="ellipsis")
        line.pad_right(width - line.cell_len - len(took))
        self._console.print(Text(f"{mark} ", style="dim" if reused else "green") + line + Text(took, style="dim"))

    def warn(self, text: str) -> None:
        self._console.print(Text("warning: ", style="yellow") + Text(text, style="default"))

    def note(self, text: str) -> None:
        self._console.print(Text(text))
