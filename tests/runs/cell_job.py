"""Cells of every temper, and a job made of quick ones, which the tests run in child processes that they kill.

`python cell_job.py ROOT JOBS` runs it and prints a line once the first cell is done.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from superalign.contracts.errors import ModelError
from superalign.contracts.records import Record
from superalign.runs.cells import Cell
from superalign.runs.launch import Launch
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.store import Done

CELLS = 24


class Number(Record):
    number: float
    note: str = ""


def square(folder: Path, number: float, pause: float = 0.0) -> Number:
    (folder / "half.txt").write_text("half done")
    time.sleep(pause)
    (folder / "half.txt").write_text(str(number))
    return Number(number=number**2)


def total(folder: Path, squares: list[Done[Number]], extra: dict[str, Done[Number] | None], start: Number) -> Number:
    """Reads the files of the steps that it is given."""
    texts = [(done.folder / "half.txt").read_text() for done in squares]
    more = sum(done.value.number for done in extra.values() if done)
    return Number(number=sum(done.value.number for done in squares) + more + start.number, note=" ".join(texts))


def process(folder: Path, number: int) -> Number:
    """Tells which process computed it, with how many threads it would compute."""
    return Number(number=os.getpid(), note=os.environ.get("OMP_NUM_THREADS", ""))


def hangs(folder: Path) -> Number:
    """With a process of its own, which holds on to everything that it inherits."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    (folder.parent / "child").write_text(str(child.pid))
    time.sleep(600)
    return Number(number=0)


def hangs_with_the_interpreter(folder: Path) -> Number:
    """No other thread of the process ever runs again."""
    (folder.parent / "child").write_text(str(os.getpid()))
    ctypes.PyDLL(None).pause()
    return Number(number=0)


def segfaults(folder: Path) -> Number:
    ctypes.string_at(0)
    return Number(number=0)


def is_killed(folder: Path) -> Number:
    os.kill(os.getpid(), signal.SIGKILL)
    return Number(number=0)


def exits(folder: Path) -> Number:
    os._exit(0)


def closes_everything(folder: Path) -> Number:
    os.closerange(0, 1000)
    time.sleep(600)
    return Number(number=0)


def dies_at_first(folder: Path, deaths: int) -> Number:
    """Is killed as often as that, and gets there then."""
    marks = folder.parent.parent / "marks"
    marks.mkdir(exist_ok=True)
    attempt = len(list(marks.iterdir()))
    (marks / str(attempt)).touch()
    (folder / "half.txt").write_text("half done")
    if attempt < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return Number(number=attempt)


def chatters(folder: Path) -> Number:
    """Uses the streams as if they were its own."""
    print("to stdout")
    os.write(1, b'{"kind": "done"}\n')
    read = sys.stdin.read()
    return Number(number=len(read))


def is_damaged(folder: Path) -> Number:
    raise ModelError("The model is damaged.", where="model.safetensors", fix="Copy it again.")


def diverges(folder: Path) -> Number:
    raise ArithmeticError("diverged")


def make_plan(name: str = "cells") -> Plan:
    specification = {
        "name": "truthful",
        "summary": "Answers truthfully.",
        "clauses": [{"id": "t", "text": "Say so.", "tested_by": [{"task": "cities", "require": "true-answer"}]}],
    }
    return Plan.model_validate({"name": name, "specification": specification})


def lost(fault: str) -> Number:
    return Number(number=-1, note=fault)


def squares(count: int, pause: float = 0.0) -> list[Cell[Number]]:
    return [Cell(f"square {n}", square, {"number": float(n), "pause": pause}) for n in range(count)]


class Reporter(NoDisplay):
    def finish(self, label: str, seconds: float, reused: bool) -> None:
        print(label, flush=True)


def do_job(run: Run) -> None:
    done = run.steps("squares", squares(CELLS, 0.02), time_limit=60, otherwise=lost)
    last = run.step("total", total, squares=done, extra={"first": done[0]}, start=Number(number=1))
    run.write("summary.json", last.value.model_dump_json())


if __name__ == "__main__":
    import cell_job

    with Run.open(Path(sys.argv[1]), make_plan(), display=Reporter(), launch=Launch(jobs=int(sys.argv[2]))) as run:
        cell_job.do_job(run)
