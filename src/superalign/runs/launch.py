"""Hands cells to other processes: workers on this machine, or on the nodes of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from superalign.contracts.errors import InputError
from superalign.runs.cells import Cell, Outcome, Task
from superalign.runs.ray_cluster import RayCluster, check_cluster
from superalign.runs.supervise import Supervisor
from superalign.runs.time_limit import can_limit

LOCAL = "local"


@dataclass(frozen=True)
class Launch:
    """Where cells are computed: on this machine by `jobs` workers, or on the Ray cluster at the address `on`."""

    jobs: int = 1
    on: str = LOCAL

    def needs_worker(self, cell: Cell[Any]) -> bool:
        """One job in all is done by the process that holds the run, but for code that may take its process down, and
        where no time limit can be kept.
        """
        return cell.foreign or self.jobs > 1 or self.on != LOCAL or not can_limit()


HERE = Launch()


class Executor(Protocol):
    """Computes tasks. As long as it has `places` of them, it is busy."""

    places: int

    def submit(self, task: Task) -> Future[Outcome]: ...

    def close(self) -> None: ...


def executor(launch: Launch, run_folder: Path) -> Executor:
    """What computes cells as `launch` says. RunError when no cluster answers."""
    if launch.on == LOCAL:
        return LocalWorkers(launch.jobs, run_folder / "logs" / "workers.log")
    return RayCluster(launch.on)


def check(launch: Launch) -> None:
    """Before hours of training: InputError when `launch` is neither for this machine nor for a cluster, or Ray is not
    installed; RunError when no cluster answers.
    """
    if launch.on == LOCAL:
        return
    if ":" not in launch.on:
        raise InputError(
            f"Nothing can be computed on {launch.on!r}.",
            where="--on",
            fix="Give `local`, or the address of a Ray cluster: ray://HOST:PORT or HOST:PORT.",
        )
    if launch.jobs != 1:
        raise InputError(
            "A Ray cluster computes as many verdicts at once as it has processors.",
            where="--jobs",
            fix="Leave --jobs out, or give it with `--on local`.",
        )
    check_cluster(launch.on)


def outcomes(tasks: Iterable[Task], executor: Executor) -> Iterator[Outcome]:
    """How each task ended, in the order in which they did. No more are taken from `tasks` than keep `executor` busy."""
    ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
    running = 0
    for task in tasks:
        if running == executor.places:
            yield ended.get().result()
            running -= 1
        executor.submit(task).add_done_callback(ended.put)
        running += 1
    for _ in range(running):
        yield ended.get().result()


class LocalWorkers:
    """`jobs` workers on this machine, each started when it gets its first task."""

    def __init__(self, jobs: int, log: Path) -> None:
        self.places = 2 * jobs  # so that no worker waits while the ledger is written
        self._supervisors = [Supervisor(log, shared_threads(jobs)) for _ in range(jobs)]
        self._idle: SimpleQueue[Supervisor] = SimpleQueue()
        for supervisor in self._supervisors:
            self._idle.put(supervisor)
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="supervisor")

    def submit(self, task: Task) -> Future[Outcome]:
        return self._threads.submit(self._computed, task)

    def close(self) -> None:
        """End all workers, whatever they are at."""
        for supervisor in self._supervisors:
            supervisor.stop()
        self._threads.shutdown(cancel_futures=True)
        for supervisor in self._supervisors:
            supervisor.close()

    def _computed(self, task: Task) -> Outcome:
        supervisor = self._idle.get()
        try:
            return supervisor.computed(task)
        finally:
            self._idle.put(supervisor)


def shared_threads(jobs: int) -> int | None:
    """How many threads each of `jobs` workers computes with; None for as many as this process."""
    if jobs == 1:
        return None
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, (int(threads) if threads.isdigit() else os.cpu_count() or 1) // jobs)
