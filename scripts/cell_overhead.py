"""What a cell costs beside its own work: `python scripts/cell_overhead.py`.

First the scheduler alone, on an executor that does nothing; then the way to a worker and back; then whole cells, with
the store and the ledger: one after another in this process, and on workers.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path

from superalign.contracts.records import Record
from superalign.runs.cells import Cell, Outcome, Task
from superalign.runs.launch import Launch, LocalWorkers, outcomes
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.tasks.specification import default_specification

SCHEDULED, ROUND_TRIPS, WHOLE = 100_000, 5_000, 500


class Number(Record):
    number: int


def nothing(folder: Path, number: int) -> Number:
    """A cell without work."""
    return Number(number=number)


class Nothing:
    """An executor whose tasks are done when they come."""

    places = 16

    def submit(self, task: Task) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        future.set_result(Outcome(key=task.key))
        return future

    def close(self) -> None: ...


def task(number: int) -> Task:
    """One under a key that is not its own, which a worker refuses before it touches the disk."""
    return Task(
        folder=Path(),
        time_limit=60,
        key=str(number),
        label="cell",
        function="cell_overhead.nothing",
        parts=(),
        arguments={"number": number},
    )


def scheduler() -> None:
    before, began = megabytes(), time.perf_counter()
    ended = sum(1 for _ in outcomes(map(task, range(SCHEDULED)), Nothing()))
    each = (time.perf_counter() - began) / ended
    print(f"scheduler alone, {ended:,} cells: {each * 1e3:.3f} ms a cell, {megabytes() - before:+.1f} MB")


def round_trips(log: Path) -> None:
    workers = LocalWorkers(2, log)
    try:
        first, _ = outcomes(map(task, range(2)), workers)
        assert first.fault and "by other code" in first.fault.what, first
        before, began = megabytes(), time.perf_counter()
        ended = sum(1 for _ in outcomes(map(task, range(ROUND_TRIPS)), workers))
        each = (time.perf_counter() - began) / ended
    finally:
        workers.close()
    print(f"to 2 workers and back, {ended:,} cells: {each * 1e3:.3f} ms a cell, {megabytes() - before:+.1f} MB")


def whole(root: Path, jobs: int) -> None:
    from cell_overhead import nothing

    def lost(fault: str) -> Number:
        raise RuntimeError(fault)

    plan = Plan(name=f"jobs-{jobs}", specification=default_specification())
    cells = [Cell(str(number), nothing, {"number": number}) for number in range(WHOLE + 1)]
    with Run.open(root / str(jobs), plan, display=NoDisplay(), launch=Launch(jobs or 1)) as run:
        if jobs:
            run.steps("the first", cells[:1], time_limit=60, otherwise=lost)
        began = time.perf_counter()
        if jobs:
            run.steps("the others", cells[1:], time_limit=60, otherwise=lost)
        else:
            for cell in cells[1:]:
                run.step(cell.label, cell.function, **cell.arguments)
        each = (time.perf_counter() - began) / WHOLE
    print(f"whole cells, {f'workers: {jobs}' if jobs else 'in this process'}: {each * 1e3:.2f} ms a cell")


def megabytes() -> float:
    """The most memory that this process has taken."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    scheduler()
    with tempfile.TemporaryDirectory() as folder:
        round_trips(Path(folder) / "workers.log")
        for jobs in (0, 1, 2):
            whole(Path(folder), jobs)
