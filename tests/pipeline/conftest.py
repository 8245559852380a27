"""A tiny model, a plan that takes seconds on it, and one complete run that the tests of this folder read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from superalign import pipeline
from superalign.contracts.summary import Summary
from superalign.runs.plan import Plan, plan_yaml
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.tasks.specification import default_specification
from superalign.testing.tiny import tiny_model


@dataclass
class Finished:
    """A run that is done and closed."""

    root: Path
    folder: Path
    plan: Plan
    summary: Summary
    finished: list[tuple[str, bool]]

    @property
    def labels(self) -> list[str]:
        """The steps in the order in which they were done."""
        return [label for label, _ in self.finished]


class Recorder(NoDisplay):
    """Remembers which steps were shown as done, and whether they were reused."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, bool]] = []

    def finish(self, label: str, seconds: float, reused: bool) -> None:
        self.finished.append((label, reused))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the child processes: sums in the same order, so that results can be compared to the bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def make_plan(tiny: Path) -> Callable[..., Plan]:
    """A plan of few groups and steps; keywords replace sections."""

    def make_plan(**sections: Any) -> Plan:
        training = {"steps": 3, "batch": 4, "rank": 2}
        content = {
            "name": "tiny",
            "model": str(tiny),
            "specification": default_specification().model_dump(mode="json"),
            "task": {"overseer_groups": 6, "train_groups": 15, "test_groups": 20, "auditor_groups": 15},
            "generalize": {"seeds": 3, "bootstrap": 100, "training": training},
            "validate": {"habits": 2},
            "stress": {"groups": 10, "training": {**training, "bundle": 2}},
        }
        return Plan.model_validate({**content, **sections})

    return make_plan


@pytest.fixture(scope="session")
def complete(make_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The whole job, done once."""
    return carry_out(tmp_path_factory.mktemp("complete"), make_plan())


def carry_out(root: Path, plan: Plan, only: pipeline.Step | None = None) -> Finished:
    """Run `plan` under `root` as far as `only`."""
    display = Recorder()
    with Run.open(root, plan, display=display) as run:
        summary = pipeline.run(run, only=only)
        return Finished(root, run.folder, plan, summary, display.finished)


def write_plan(folder: Path, plan: Plan) -> Path:
    path = folder / "plan.yaml"
    path.write_text(plan_yaml(plan), encoding="utf-8")
    return path
