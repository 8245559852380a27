"""Many steps at once: the same results wherever they are computed, whatever happens to who computes them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from superalign.contracts.errors import InputError, ModelError, RunError
from superalign.contracts.records import Cost
from superalign.provenance.ledger import Ledger
from superalign.runs import supervise
from superalign.runs.cells import Cell, Outcome, Task, restored, task_for
from superalign.runs.launch import Launch, outcomes
from superalign.runs.run import Run, verify_run
from superalign.runs.store import StepStore, step_key

JOB = Path(__file__).with_name("cell_job.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
CELLS_PER_LIFE = 10


@pytest.fixture
def cell_job(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as a worker finds it: by name."""
    monkeypatch.syspath_prepend(str(JOB.parent))
    return import_module(JOB.stem)


@pytest.fixture
def open_cells(cell_job: ModuleType, tmp_path: Path, display: Any) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def open_cells(jobs: int = 1, name: str = "cells") -> Run:
        for run in runs:
            run.close()
        runs.append(Run.open(tmp_path, cell_job.make_plan(name), display=display, launch=Launch(jobs)))
        return runs[-1]

    yield open_cells
    for run in runs:
        run.close()


def one(run: Run, cell_job: ModuleType, function: str, *, time_limit: float = 60, **arguments: Any) -> Any:
    """The value of one cell."""
    cell = Cell(function, getattr(cell_job, function), arguments)
    [done] = run.steps("one", [cell], time_limit=time_limit, otherwise=cell_job.lost)
    return done.value


def alive(process: int) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold."""
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.05)
    return False


class TestResults:
    def test_any_number_of_workers_gives_the_same_in_the_order_of_the_cells(
        self, cell_job: ModuleType, open_cells: Callable[..., Run]
    ) -> None:
        found = []
        for jobs, name in ((1, "one"), (3, "three")):
            run = open_cells(jobs, name)
            done = run.steps("squares", cell_job.squares(20), time_limit=60, otherwise=cell_job.lost)
            assert [step.value.number for step in done] == [float(n) ** 2 for n in range(20)]
            with Ledger(run.folder / "ledger.db") as ledger:
                entries = Counter((e.body["label"], e.body["key"], e.body["digest"]) for e in ledger.entries("step"))
            assert max(entries.values()) == 1
            found.append((done, entries))
            verify_run(run.folder)
        assert [step.digest for step in found[0][0]] == [step.digest for step in found[1][0]]
        assert found[0][1] == found[1][1]

    def test_finished_steps_get_across_as_arguments(self, cell_job: ModuleType, open_cells: Callable[..., Run]) -> None:
        run = open_cells(2)
        squares = run.steps("squares", cell_job.squares(3), time_limit=60, otherwise=cell_job.lost)
        arguments = {"squares": squares, "extra": {"a": squares[2], "b": None}, "start": cell_job.Number(number=1)}
        assert one(run, cell_job, "total", **arguments) == cell_job.Number(number=10, note="0.0 1.0 2.0")
        assert run.step("total", cell_job.total, **arguments).value.number == 10
        assert run.cost() == sum((step.cost for step in run._used.values()), start=Cost())

    def test_what_is_done_is_found(self, cell_job: ModuleType, open_cells: Callable[..., Run], display: Any) -> None:
        open_cells(2).steps("squares", cell_job.squares(6), time_limit=60, otherwise=cell_job.lost)
        display.finished.clear()
        run = open_cells(2)
        run.steps("squares", cell_job.squares(8), time_limit=60, otherwise=cell_job.lost)
        assert sorted(label for label, reused in display.finished if reused) == [f"square {n}" for n in range(6)]
        assert sorted(label for label, reused in display.finished if not reused) == ["square 6", "square 7", "squares"]
        assert verify_run(run.folder).entries == 8

    def test_cells_done_of_all_are_shown(
        self, cell_job: ModuleType, open_cells: Callable[..., Run], display: Any
    ) -> None:
        open_cells(2).steps("squares", cell_job.squares(4), time_limit=60, otherwise=cell_job.lost)
        assert display.advanced == [0.25, 0.5, 0.75, 1.0]

    def test_the_same_cell_twice_is_computed_once(self, cell_job: ModuleType, open_cells: Callable[..., Run]) -> None:
        cells = [*cell_job.squares(2), *cell_job.squares(2)]
        run = open_cells(2)
        done = run.steps("squares", cells, time_limit=60, otherwise=cell_job.lost)
        assert [step.value.number for step in done] == [0, 1, 0, 1]
        assert verify_run(run.folder).entries == 2

    def test_workers_are_kept_and_share_the_threads(
        self, cell_job: ModuleType, open_cells: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        run = open_cells(2)
        found = []
        for first in (0, 10):
            cells = [Cell(f"process {n}", cell_job.process, {"number": n}) for n in range(first, first + 10)]
            found += [step.value for step in run.steps("processes", cells, time_limit=60, otherwise=cell_job.lost)]
        processes = {int(value.number) for value in found}
        assert len(processes) <= 2 and os.getpid() not in processes
        assert {value.note for value in found} == {"2"}
        run.close()
        assert not any(alive(process) for process in processes)

    def test_code_of_others_never_runs_in_this_process(
        self, cell_job: ModuleType, open_cells: Callable[..., Run]
    ) -> None:
        assert one(open_cells(1), cell_job, "process", number=1).number != os.getpid()
        assert Launch(jobs=1).needs_worker(Cell("x", cell_job.square, {}))
        assert not Launch(jobs=1).needs_worker(Cell("x", task_for, {}, parts=("superalign.robustness.consistency",)))
        assert Launch(jobs=1).needs_worker(Cell("x", task_for, {}, parts=("superalignment.detector",)))

    def test_what_cells_print_and_read_is_not_the_protocol(
        self, cell_job: ModuleType, open_cells: Callable[..., Run]
    ) -> None:
        run = open_cells(1)
        assert one(run, cell_job, "chatters").number == 0
        assert "to stdout" in (run.folder / "logs" / "workers.log").read_text()


class TestFaults:
    @pytest.mark.parametrize(
        ("function", "says"),
        [
            ("segfaults", "was ended by SIGSEGV, 3 times in a row"),
            ("is_killed", "was ended by SIGKILL, 3 times in a row"),
            ("exits", "ended its process with exit code 0, 3 times in a row"),
            ("closes_everything", "closed the pipe that its worker replies by, 3 times in a row"),
        ],
    )
    def test_who_takes_its_worker_down_is_lost_and_nothing_else_is(
        self, cell_job: ModuleType, open_cells: Callable[..., Run], display: Any, function: str, says: str
    ) -> None:
        run = open_cells(1)
        cells = [*cell_job.squares(2), Cell(function, getattr(cell_job, function), {}), *cell_job.squares(4)[2:]]
        done = run.steps("cells", cells, time_limit=60, otherwise=cell_job.lost)
        assert [step.value.number for step in done] == [0, 1, -1, 4, 9]
        assert done[2].value.note == says and done[2].cost.seconds > 0
        assert display.warnings == [f"{function} {says}"]
        assert not list((run.folder / "steps").glob(".*"))

    @pytest.mark.parametrize("function", ["hangs", "hangs_with_the_interpreter"])
    def test_who_hangs_is_ended_with_all_that_it_started(
        self, cell_job: ModuleType, open_cells: Callable[..., Run], function: str
    ) -> None:
        run = open_cells(1)
        assert one(run, cell_job, function, time_limit=1.0).note == "took longer than 1 s"
        child = int((run.folder / "steps" / "child").read_text())
        assert until(lambda: not alive(child))
        assert one(run, cell_job, "square", number=3.0).number == 9

    def test_a_lost_result_stays_in_its_run_and_is_tried_again_in_others(
        self, cell_job: ModuleType, open_cells: Callable[..., Run]
    ) -> None:
        for name in ("first", "first", "second"):
            value = one(open_cells(1, name), cell_job, "is_killed")
            assert value.number == -1
        run = open_cells(1, "first")
        assert run.known(cell_job.is_killed)
        assert verify_run(run.folder).entries == 1
        own = next((run.folder / "steps").iterdir())
        assert json.loads((own / "result.json").read_text())["given_up"]
        assert StepStore(run.folder.parent).find(own.name, cell_job.is_killed) is None

    @pytest.mark.parametrize(("deaths", "result"), [(1, 1), (2, 2), (3, -1)])
    def test_a_dead_worker_is_replaced_and_its_cell_tried_twice_more(
        self, cell_job: ModuleType, open_cells: Callable[..., Run], deaths: int, result: int
    ) -> None:
        run = open_cells(1)
        assert one(run, cell_job, "dies_at_first", deaths=deaths).number == result
        assert not list((run.folder / "steps").glob(".*"))

    def test_errors_that_the_user_must_mend_come_through_as_they_are(
        self, cell_job: ModuleType, open_cells: Callable[..., Run]
    ) -> None:
        run = open_cells(2)
        with pytest.raises(ModelError, match="The model is damaged") as caught:
            one(run, cell_job, "is_damaged")
        assert (caught.value.where, caught.value.fix) == ("model.safetensors", "Copy it again.")
        with pytest.raises(RuntimeError, match="ArithmeticError: diverged") as unexpected:
            one(run, cell_job, "diverges")
        assert "in diverges" in unexpected.value.__notes__[0]
        assert one(run, cell_job, "square", number=2.0).number == 4
        assert verify_run(run.folder).entries == 1

    def test_a_worker_that_can_not_start_is_no_result(
        self, cell_job: ModuleType, open_cells: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervise, "WORKER", "superalign.runs.no_worker")
        with pytest.raises(RunError, match=r"could not be started.*exit code 1.*No module named"):
            one(open_cells(1), cell_job, "square", number=1.0)

    def test_a_worker_that_was_killed_while_idle_costs_nothing(
        self, cell_job: ModuleType, open_cells: Callable[..., Run]
    ) -> None:
        run = open_cells(1)
        first = one(run, cell_job, "process", number=1).number
        os.kill(int(first), signal.SIGKILL)
        assert until(lambda: not alive(int(first)))
        assert one(run, cell_job, "process", number=2).number not in (-1, first)


class TestTasks:
    def test_other_code_is_refused(self, cell_job: ModuleType, tmp_path: Path) -> None:
        cell = Cell("square", cell_job.square, {"number": 2.0})
        task = task_for(cell, step_key(cell.function, cell.arguments), tmp_path, 60)
        assert restored(task) == (cell_job.square, {"number": 2.0})
        for changed in ({"key": "0" * 64}, {"arguments": {"number": 3.0}}):
            with pytest.raises(RunError, match="by other code"):
                restored(task.model_copy(update=changed))
        for changed in ({"function": "cell_job.cube"}, {"function": "no_module.square"}, {"parts": ("no_module",)}):
            with pytest.raises(RunError, match="can't make 'square' out"):
                restored(task.model_copy(update=changed))

    def test_arguments_must_be_what_the_function_declares(self, cell_job: ModuleType, tmp_path: Path) -> None:
        with pytest.raises(TypeError, match="not of the type"):
            task_for(Cell("square", cell_job.square, {"number": "two"}), "key", tmp_path, 60)
        with pytest.raises(TypeError, match="declares no type for 'other'"):
            task_for(Cell("square", cell_job.square, {"other": 2}), "key", tmp_path, 60)

    def test_a_script_that_was_started_can_not_be_imported_elsewhere(
        self, cell_job: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cell_job.square, "__module__", "__main__")
        with pytest.raises(InputError, match="module of its own"):
            task_for(Cell("square", cell_job.square, {"number": 2.0}), "key", tmp_path, 60)

    @pytest.mark.parametrize(
        ("launch", "says"), [(Launch(on="banana"), "ray://HOST:PORT"), (Launch(2, "ray://h:1"), "Leave --jobs out")]
    )
    def test_a_place_that_there_is_not(self, cell_job: ModuleType, tmp_path: Path, launch: Launch, says: str) -> None:
        with pytest.raises(InputError, match=says):
            Run.open(tmp_path, cell_job.make_plan(), display=None, launch=launch)  # type: ignore[arg-type]


class TestKills:
    def test_killed_twenty_times_the_job_ends_the_same(self, tmp_path: Path) -> None:
        """At random moments from the start of the run to its end, with two workers at work."""
        rng = random.Random(0)
        command = [sys.executable, str(JOB)]
        subprocess.run([*command, str(tmp_path / "whole"), "1"], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
        lives = 0
        for killed in range(20):
            root = tmp_path / f"killed-{killed // 4}"
            child = subprocess.Popen([*command, str(root), "2"], env=ENVIRONMENT, stdout=subprocess.PIPE)
            assert child.stdout
            for _ in range(rng.randrange(CELLS_PER_LIFE)):
                child.stdout.readline()
            time.sleep(rng.random() * 0.05)
            child.kill()
            child.stdout.close()
            lives += child.wait() == -signal.SIGKILL
        assert lives >= 10
        for root in sorted(tmp_path.glob("killed-*")):
            subprocess.run([*command, str(root), "2"], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
            assert outcome_of(root) == outcome_of(tmp_path / "whole")

    @pytest.mark.parametrize(("function", "time_limit"), [("hangs", 600), ("hangs_with_the_interpreter", 2)])
    def test_workers_end_with_whoever_started_them(self, tmp_path: Path, function: str, time_limit: int) -> None:
        code = f"""
import sys, cell_job
from pathlib import Path
from superalign.runs.cells import Cell
from superalign.runs.launch import Launch
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
with Run.open(Path(sys.argv[1]), cell_job.make_plan(), display=NoDisplay(), launch=Launch(jobs=2)) as run:
    run.steps("one", [Cell("one", cell_job.{function}, {{}})], time_limit=float(sys.argv[2]), otherwise=cell_job.lost)
"""
        path = os.pathsep.join([str(JOB.parent), ENVIRONMENT["PYTHONPATH"]])
        coordinator = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(time_limit)], env={**ENVIRONMENT, "PYTHONPATH": path}
        )
        assert until(lambda: any(path.read_text() for path in tmp_path.glob("*/steps/child")))
        child = int(next(tmp_path.glob("*/steps/child")).read_text())
        assert alive(child)
        coordinator.kill()
        coordinator.wait()
        assert until(lambda: not alive(child))


def outcome_of(root: Path) -> Any:
    """All that a run leaves, but for what was measured by the clock."""
    (folder,) = root.iterdir()
    verify_run(folder)
    with Ledger(folder / "ledger.db") as ledger:
        entries = Counter((entry.body["label"], entry.body["key"], entry.body["digest"]) for entry in ledger.entries())
    results = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("steps/*/result.json")}
    assert not list(folder.glob("steps/.*"))
    return (folder / "summary.json").read_text(), entries, {key: result["digest"] for key, result in results.items()}


class TestScheduler:
    def test_a_hundred_thousand_cells_are_taken_one_by_one(self) -> None:
        """In any order of completion each comes back once, and no more are held than keep the executor busy."""
        executor, seen = Shuffler(places=8, last=99_999), bytearray(100_000)
        tracemalloc.start()
        for number, outcome in enumerate(outcomes(map(task, range(100_000)), executor)):
            seen[int(outcome.key)] += 1
            if number == 1_000:
                tracemalloc.reset_peak()
                early = tracemalloc.get_traced_memory()[0]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert set(seen) == {1}
        assert executor.most == executor.places
        assert peak - early < 100_000


def task(number: int) -> Task:
    return Task(
        folder=Path("run"), time_limit=60, key=str(number), label="cell", function="a.b", parts=(), arguments={}
    )


class Shuffler:
    """Ends its tasks in a random order, some when it is full and all at the last."""

    def __init__(self, places: int, last: int) -> None:
        self.places, self.most = places, 0
        self._last = str(last)
        self._running: list[tuple[Task, Future[Outcome]]] = []
        self._rng = random.Random(0)

    def submit(self, task: Task) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        self._running.append((task, future))
        self.most = max(self.most, len(self._running))
        self._rng.shuffle(self._running)
        if task.key == self._last or len(self._running) == self.places:
            for _ in range(len(self._running) if task.key == self._last else self._rng.randint(1, self.places)):
                ended, own = self._running.pop()
                own.set_result(Outcome(key=ended.key))
        return future

    def close(self) -> None: ...
