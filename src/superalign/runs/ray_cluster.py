"""Cells on the nodes of a Ray cluster. Ray finds a node for each, and another one when that is lost.

On its node a cell is computed by a worker under a supervisor, as on a single machine: Ray itself knows no time limit,
and a cell that takes its process down would take the open models with it.
"""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import Future
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import current_thread, main_thread
from urllib.parse import urlsplit

from superalign.contracts.errors import InputError, RunError
from superalign.runs.cells import Outcome, Task, fault_of
from superalign.runs.supervise import Supervisor

LOST_NODES = 3  # of a cell, one after another; then the cell is to blame
SECONDS_TO_ANSWER = 10.0
TASKS_PER_PROCESSOR = 2  # so that no node waits while the ledger is written


class RayCluster:
    """The cluster at `address`: ray://HOST:PORT from outside of it, HOST:PORT on one of its nodes."""

    def __init__(self, address: str) -> None:
        """RunError when it lets nobody in."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when ray is imported
        import ray

        before = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise no_answer(address, error) from None
        if current_thread() is main_thread():  # where Ray takes the signal for itself
            signal.signal(signal.SIGTERM, before)
        self.places = TASKS_PER_PROCESSOR * max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._ray = ray
        self._compute = ray.remote(num_cpus=1, max_retries=LOST_NODES - 1)(computed_on_node)

    def submit(self, task: Task) -> Future[Outcome]:
        outcome: Future[Outcome] = Future()

        def keep(answer: Future[str]) -> None:
            try:
                outcome.set_result(self._outcome(task, answer))
            except BaseException as error:
                outcome.set_exception(error)

        self._compute.remote(task.model_dump_json(), os.getcwd()).future().add_done_callback(keep)
        return outcome

    def close(self) -> None:
        """Leave the cluster; what still runs there for this process is ended."""
        self._ray.shutdown()

    def _outcome(self, task: Task, answer: Future[str]) -> Outcome:
        lost: tuple[type[Exception], ...] = (
            self._ray.exceptions.WorkerCrashedError,
            self._ray.exceptions.NodeDiedError,
            self._ray.exceptions.OutOfMemoryError,
        )
        try:
            return Outcome.model_validate_json(answer.result())
        except lost:
            return Outcome(key=task.key, lost=f"lost the node that it ran on, {LOST_NODES} times in a row")
        except self._ray.exceptions.RayError as error:
            raise RunError(
                f"The Ray cluster could not compute {task.label!r}: {' '.join(str(error).split())[-300:]}",
                fix="See that all nodes run and have the same superalign; the same command goes on where it was.",
            ) from None


def check_cluster(address: str) -> None:
    """InputError when Ray is not installed here, RunError when nothing listens at `address`: Ray itself would try for
    many minutes.
    """
    if find_spec("ray") is None:
        raise InputError("A cluster is reached by Ray, which is not installed.", fix="pip install 'superalign[ray]'")
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        if parts.hostname is None or parts.port is None:
            raise ValueError("the address has no host or no port")
        socket.create_connection((parts.hostname, parts.port), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        raise no_answer(address, error) from None


def no_answer(address: str, error: Exception) -> RunError:
    return RunError(
        f"No Ray cluster answers: {' '.join(str(error).split())[:200]}.",
        where=f"--on {address}",
        fix="Start one with `ray start --head`, and give the address that it prints.",
    )


def computed_on_node(line: str, directory: str) -> str:
    """The `Outcome` of the `Task` in `line`, as JSON. Runs on a node; `directory` is where the run's process works."""
    task = Task.model_validate_json(line)
    try:
        if not Path(directory).is_dir():
            raise not_shared(task, directory)
        os.chdir(directory)  # paths in the plan may be relative
        if not (task.folder / "steps").is_dir():
            raise not_shared(task, str(task.folder))
        return supervisor(task.folder).computed(task).model_dump_json()
    except RunError as error:
        return Outcome(key=task.key, fault=fault_of(error, "")).model_dump_json()


@cache
def supervisor(run_folder: Path) -> Supervisor:
    """One for each process of Ray's, which ends with it."""
    return Supervisor(run_folder / "logs" / f"workers-{os.uname().nodename}.log")


def not_shared(task: Task, path: str) -> RunError:
    """The error for a node on which the run is not to be found."""
    return RunError(
        f"A node of the cluster ({os.uname().nodename}) does not see what {task.label!r} needs.",
        where=path,
        fix="Work on a file system that all nodes mount under the same path.",
    )
