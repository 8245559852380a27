"""The same cells on a Ray cluster of two nodes, one of which is lost while they run. Skipped where Ray is missing."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from superalign.contracts.errors import InputError, ModelError, RunError
from superalign.provenance.ledger import Ledger
from superalign.runs import ray_cluster
from superalign.runs.cells import Cell
from superalign.runs.launch import Launch
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run, verify_run

JOB = Path(__file__).with_name("cell_job.py")
CELLS = 24

# Read when ray is imported: nobody else may use the cluster of these tests.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0"}
# Loopback only, which Ray otherwise replaces by the address that other machines reach.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


@pytest.fixture(scope="module")
def cell_job() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(JOB.parent))
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield import_module(JOB.stem)


@pytest.fixture
def cluster(cell_job: ModuleType) -> Iterator[Any]:
    """A head on which nothing is computed but the cluster's own business, and two nodes."""
    utils = pytest.importorskip("ray.cluster_utils", reason="Ray is not installed: pip install 'superalign[ray]'")
    head = {
        "num_cpus": 0,
        "node_ip_address": "127.0.0.1",
        "include_dashboard": False,
        "_system_config": {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500},
    }
    made = utils.Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        made.add_node(num_cpus=1, node_ip_address="127.0.0.1")
    yield made
    made.shutdown()


class KillsANode(NoDisplay):
    """Kills the cluster's last node when the first cells are done."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.finished: list[str] = []
        self.warnings: list[str] = []

    def finish(self, label: str, seconds: float, reused: bool) -> None:
        self.finished.append(label)
        if len(self.finished) == CELLS // 4:
            self._cluster.remove_node(next(iter(self._cluster.worker_nodes)), allow_graceful=False)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def steps_in_ledger(run: Run) -> Counter[tuple[str, str, str]]:
    verify_run(run.folder)
    with Ledger(run.folder / "ledger.db") as ledger:
        return Counter((e.body["label"], e.body["key"], e.body["digest"]) for e in ledger.entries("step"))


def test_a_node_is_lost_and_nothing_else(cell_job: ModuleType, cluster: Any, tmp_path: Path) -> None:
    display = KillsANode(cluster)
    plan, cells, handler = cell_job.make_plan(), cell_job.squares(CELLS, 0.2), signal.getsignal(signal.SIGTERM)
    with Run.open(tmp_path / "ray", plan, display=display, launch=Launch(on=cluster.address)) as run:
        done = run.steps("squares", cells, time_limit=60, otherwise=cell_job.lost)
        found = steps_in_ledger(run)
    with Run.open(tmp_path / "here", plan, display=NoDisplay(), launch=Launch(jobs=2)) as run:
        expected = run.steps("squares", cells, time_limit=60, otherwise=cell_job.lost)
        assert found == steps_in_ledger(run)
    assert [step.digest for step in done] == [step.digest for step in expected]
    assert sorted(display.finished) == sorted([*(cell.label for cell in cells), "squares"])
    assert len(cluster.worker_nodes) == 1 and not display.warnings
    assert signal.getsignal(signal.SIGTERM) == handler


def test_faults_are_those_of_a_single_machine(cell_job: ModuleType, cluster: Any, tmp_path: Path) -> None:
    """Limits, deaths and errors come from the supervisor on the node, not from Ray."""
    with Run.open(tmp_path, cell_job.make_plan(), display=NoDisplay(), launch=Launch(on=cluster.address)) as run:
        cells = [Cell(name, getattr(cell_job, name), {}) for name in ("hangs", "is_killed", "chatters")]
        done = run.steps("cells", cells, time_limit=2, otherwise=cell_job.lost)
        assert [step.value.note for step in done] == [
            "took longer than 2 s",
            "was ended by SIGKILL, 3 times in a row",
            "",
        ]
        with pytest.raises(ModelError, match="The model is damaged"):
            run.steps("one", [Cell("damaged", cell_job.is_damaged, {})], time_limit=60, otherwise=cell_job.lost)
        results = [json.loads(path.read_text()) for path in run.folder.glob("steps/*/result.json")]
        assert Counter(result["given_up"] for result in results) == {True: 2, False: 1}


def test_a_node_that_does_not_see_the_run_says_so(
    cell_job: ModuleType, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run.open(tmp_path, cell_job.make_plan(), display=NoDisplay(), launch=Launch(on=cluster.address)) as run:
        folder, run.folder = run.folder, tmp_path / "elsewhere"
        with pytest.raises(RunError, match="file system that all nodes mount"):
            run.steps("one", cell_job.squares(1), time_limit=60, otherwise=cell_job.lost)
        run.folder = folder


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "ray://:1", "a:b"])
def test_no_cluster_answers(
    cell_job: ModuleType, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before anything is trained."""
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: object())
    with pytest.raises(RunError, match=r"No Ray cluster answers.*ray start --head"):
        Run.open(tmp_path, cell_job.make_plan(), display=NoDisplay(), launch=Launch(on=address))


def test_without_ray_the_error_says_what_to_install(
    cell_job: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"superalign\[ray\]"):
        Run.open(tmp_path, cell_job.make_plan(), display=NoDisplay(), launch=Launch(on="ray://127.0.0.1:1"))
