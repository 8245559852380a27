"""The job that the tests run, imported under one name however pytest imports them, and runs to do it in."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run


@pytest.fixture(scope="session")
def job() -> ModuleType:
    spec = importlib.util.spec_from_file_location("job_of_the_run_tests", Path(__file__).parent / "job.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def nothing_started(job: ModuleType) -> None:
    job.STARTED.clear()


class Recorder(NoDisplay):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.finished: list[tuple[str, bool]] = []
        self.warnings: list[str] = []
        self.advanced: list[float] = []

    def advance(self, done: float, total: float) -> None:
        self.advanced.append(done / total)

    def finish(self, label: str, seconds: float, reused: bool) -> None:
        self.finished.append((label, reused))

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def display() -> Recorder:
    return Recorder()


@pytest.fixture
def open_run(job: ModuleType, tmp_path: Path, display: Recorder) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def open_run(**plan: Any) -> Run:
        for run in runs:
            run.close()
        runs.append(Run.open(tmp_path, job.make_plan(**plan), display=display))
        return runs[-1]

    yield open_run
    for run in runs:
        run.close()
