"""What a person sees: honest remaining time, one line per step, nothing of what libraries print."""

import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from superalign.contracts.errors import UnknownName
from superalign.runs.cost import count, metered
from superalign.runs.progress import (
    Display,
    Forecast,
    PlainDisplay,
    RichDisplay,
    advance,
    duration,
    make_display,
    shown_on,
)
from superalign.runs.quiet import quiet_libraries


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_forecast_starts_from_expectation_and_learns_the_speed() -> None:
    clock = Clock()
    forecast = Forecast(clock)
    assert forecast.remaining() is None
    forecast.plan({"a": 10, "b": 30, "c": 60})
    assert forecast.remaining() == 100
    forecast.start("a")
    clock.now += 20
    forecast.finish("a", 20, reused=False)
    remaining = forecast.remaining()
    assert remaining and 150 < remaining < 180  # twice as slow as expected, but for the prior
    assert forecast.fraction() == pytest.approx(0.1)
    forecast.start("b")
    clock.now += 30
    forecast.advance(1, 2)
    assert forecast.step_remaining() == pytest.approx(30)
    remaining = forecast.remaining()
    assert remaining and 130 < remaining < 150
    forecast.finish("b", 60, reused=False)
    forecast.finish("c", 60, reused=True)
    assert forecast.remaining() == 0
    assert forecast.fraction() == 1


def test_reused_steps_and_unplanned_ones_do_not_change_the_speed() -> None:
    forecast = Forecast(Clock())
    forecast.plan({"a": 10, "b": 30})
    forecast.finish("a", 0.01, reused=True)
    forecast.start("surprise")
    forecast.finish("surprise", 500, reused=False)
    assert forecast.remaining() == pytest.approx(30)


def test_a_step_that_takes_longer_than_expected_has_no_negative_time_left() -> None:
    clock = Clock()
    forecast = Forecast(clock)
    forecast.plan({"a": 10})
    forecast.start("a")
    clock.now += 500
    assert forecast.remaining() == 0
    forecast.advance(3, 0)
    forecast.advance(7, 3)
    assert forecast.step_remaining() == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def play(display: Display) -> None:
    with display, shown_on(display):
        display.plan({"train the student": 10, "a" * 100: 30})
        display.start("train the student")
        advance(1, 4)
        display.warn("step [bold]x[/bold] was damaged")
        display.finish("train the student", 12.3, reused=False)
        display.finish("a" * 100, 3, reused=True)
        display.note("the report is in runs/x/report.html")


def test_the_plain_display_writes_one_timestamped_line_per_event() -> None:
    stream, clock = io.StringIO(), Clock()
    display = PlainDisplay(stream, clock)
    play(display)
    display.start("long")
    for _ in range(25):
        clock.now += 1
        display.advance(1, 4)
    lines = stream.getvalue().splitlines()
    assert all(line[2] == line[5] == ":" for line in lines)
    assert [line[9:].split()[0] for line in lines] == [
        *("start", "warning", "done", "reused", "note", "start"),
        *("at", "at"),
    ]
    assert "train the student in 12 s, about" in stream.getvalue()


def test_the_rich_display_fits_80_columns_and_takes_no_markup_from_us() -> None:
    stream = io.StringIO()
    play(RichDisplay(Console(file=stream, width=80, force_terminal=False)))
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("✓ train the student") and line.endswith("12 s") for line in lines)
    assert any(line.startswith("= aaa") and line.endswith("… reused") for line in lines)
    assert "step [bold]x[/bold] was damaged" in stream.getvalue()


def test_the_rich_bars_fit_80_columns_with_remaining_time() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    display = RichDisplay(console)
    display.plan({"train the ceiling, seed 4 of 5, on the truth": 100, "b": 400})
    display.start("train the ceiling, seed 4 of 5, on the truth")
    display.advance(1, 4)
    with console.capture() as capture:
        console.print(display._bars.get_renderable())
    lines = capture.get().splitlines()
    assert len(lines) == 2
    assert all(len(line.rstrip()) <= 80 and line.rstrip().endswith(" left") for line in lines)
    assert "train the ceiling" in lines[0] and "25%" in lines[0]
    assert "whole job" in lines[1] and "5%" in lines[1]


def test_displays_go_to_stderr_and_none_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    play(make_display("none"))
    assert capsys.readouterr() == ("", "")
    for name in ("rich", "plain"):
        play(make_display(name))
        out, err = capsys.readouterr()
        assert out == "" and "train the student" in err
    with pytest.raises(UnknownName, match="plain"):
        make_display("plane")


def test_advance_outside_of_a_step_does_nothing() -> None:
    advance(1, 2)


def test_nothing_of_libraries_leaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "libraries.log"
    early = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("imported-before")
    logger.addHandler(early)
    outer, before = os.environ.get("TQDM_DISABLE"), early.stream
    display = PlainDisplay()
    with quiet_libraries(log):
        print("from print")
        logger.error("from an early handler")
        late = logging.StreamHandler(sys.stderr)
        late.emit(logging.makeLogRecord({"msg": "from a late handler"}))
        sys.stderr.write("from stderr\n")
        assert os.environ["TQDM_DISABLE"] == "1"
        display.note("from us")
    logged = log.read_text()
    for source in ("print", "an early handler", "a late handler", "stderr"):
        assert f"from {source}\n" in logged
    out, err = capsys.readouterr()
    assert out == "" and err.endswith("from us\n") and err.count("\n") == 1
    assert os.environ.get("TQDM_DISABLE") == outer and early.stream is before
    late.emit(logging.makeLogRecord({"msg": "after"}))  # whoever kept our stream writes to the real one again
    assert capsys.readouterr().err == "after\n"
    logger.removeHandler(early)


WARNS = """
import sys, warnings
from pathlib import Path
from superalign.runs.quiet import quiet_libraries
with quiet_libraries(Path(sys.argv[1])):
    from tqdm import tqdm
    list(tqdm(range(3)))
    list(tqdm(range(3), disable=False))
    warnings.warn("from warnings")
print("result")
"""


def test_warnings_and_progress_bars_of_libraries_do_not_leak(tmp_path: Path) -> None:
    """In a process of its own, because pytest catches warnings before we could."""
    child = subprocess.run(
        [sys.executable, "-c", WARNS, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (child.stdout, child.stderr) == ("result\n", "")
    assert "UserWarning: from warnings" in (tmp_path / "log").read_text()


def test_streams_are_restored_after_an_error(tmp_path: Path) -> None:
    streams = (sys.stdout, sys.stderr)
    with pytest.raises(ZeroDivisionError), quiet_libraries(tmp_path / "libraries.log"):
        _ = 1 / 0
    assert (sys.stdout, sys.stderr) == streams


def test_meters_nest_and_stop() -> None:
    count(tokens=5)
    with metered() as outer:
        count(tokens=1, forward_passes=1)
        with metered() as inner:
            count(tokens=10, human_seconds=2.5)
        count(tokens=100)
    count(tokens=1000)
    assert (outer.cost().tokens, outer.cost().forward_passes, outer.cost().human_seconds) == (111, 1, 2.5)
    assert inner.cost().tokens == 10
    assert 0 <= inner.cost().seconds <= outer.cost().seconds == outer.cost().seconds
