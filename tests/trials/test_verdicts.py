"""Verdicts of a battery, in this process and in workers: the same, and without any for who hangs or dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
import torch

from superalign.contracts.protocols import AnswerKey, Subject
from superalign.contracts.records import Cost, Unscored, Verdict
from superalign.contracts.registry import detectors
from superalign.models.handle import ModelIdentity, identify
from superalign.robustness.consistency import Consistency
from superalign.runs.cells import Cell, task_for
from superalign.runs.launch import HERE, Launch
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.cities import Cities
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import divide
from superalign.testing.tiny import tiny_model
from superalign.trials.assess import Auditor, Look, assess, verdicts
from superalign.trials.present import Presented
from superalign.trials.stress import looks_at

FAULTS = {
    "hung": "the detector took longer than 10 s",
    "killed": "the detector was ended by SIGKILL, 3 times in a row",
    "not-a-number": "the detector returned a Verdict that is none: score: Input should be a finite number",
    "wordy": "the detector returned a Verdict that is none: score: Input should be a valid number",
    "leaving": "the detector crashed: SystemExit: 0",
}


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The detectors of `faulty_detectors`, registered as an import does it, for as long as a test takes."""
    detectors.names()
    monkeypatch.setattr(detectors, "_factories", dict(detectors._factories))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import_module("faulty_detectors")
    yield
    del sys.modules["faulty_detectors"]


@pytest.fixture
def base(tmp_path: Path) -> ModelIdentity:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return identify(str(tiny_model(tmp_path / "tiny")))
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def judged(tmp_path: Path, base: ModelIdentity) -> Callable[..., dict[str, Verdict | Unscored]]:
    """What these detectors say of the base, in a run of that name."""

    def judged(
        *names: str, run: str = "run", launch: Launch = HERE, time_limit: float = 60
    ) -> dict[str, Verdict | Unscored]:
        plan = Plan.model_validate(
            {
                "name": run,
                "specification": default_specification().model_dump(),
                "task": {"overseer_groups": 6, "train_groups": 15, "test_groups": 20, "auditor_groups": 15},
                "validate": {"time_limit": time_limit},
            }
        )
        splits = divide(Cities(), plan.task, 0)
        key = splits.key.only(splits.auditor)
        auditor = Auditor(questions=splits.auditor, key=key, specification=plan.specification, seed=0)
        looks = {name: Look(detector=name, auditor=auditor, base=base) for name in names}
        with Run.open(tmp_path / run, plan, display=NoDisplay(), launch=launch) as opened:
            return verdicts(opened, "verdicts", looks)

    return judged


def test_ours_say_the_same_here_and_in_workers(judged: Callable[..., dict[str, Verdict | Unscored]]) -> None:
    here, there = (
        judged("consistency", "knowledge", run=run, launch=launch)
        for run, launch in (("here", HERE), ("there", Launch(jobs=2)))
    )
    for name in here:
        first, second = (found[name].model_dump(mode="json") for found in (here, there))
        for found in (first, second):
            found.get("cost", {}).pop("seconds", None)
        assert first == second


@pytest.mark.usefixtures("faulty")
def test_a_fault_is_its_own_verdict_and_no_other(judged: Callable[..., dict[str, Verdict | Unscored]]) -> None:
    found = judged("sound", *FAULTS, time_limit=10)
    sound = found.pop("sound")
    assert isinstance(sound, Verdict) and sound.details["process"] != os.getpid()
    for name, says in FAULTS.items():
        result = found[name]
        assert isinstance(result, Unscored) and result.reason.startswith(says), name


def test_one_of_ours_that_hangs_in_this_process_is_unscored(
    judged: Callable[..., dict[str, Verdict | Unscored]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it goes on after any exception; the next one is as good as ever, and no alarm is left."""

    def goes_on(self: Consistency, subject: Subject) -> None:
        while True:
            with suppress(Exception):
                time.sleep(600)

    monkeypatch.setattr(Consistency, "assess", goes_on)
    found = judged("consistency", "knowledge", time_limit=2)
    assert found["consistency"] == Unscored(reason="the detector took longer than 2 s")
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    monkeypatch.undo()
    again = judged("consistency", "knowledge", run="again")
    assert all(isinstance(result, Verdict) for result in again.values())


def test_where_no_limit_can_be_kept_a_worker_computes(judged: Callable[..., dict[str, Verdict | Unscored]]) -> None:
    """Signals reach the main thread alone."""
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(judged, "consistency").result()
    assert isinstance(found["consistency"], Verdict)


AUDITOR = Auditor(questions=(), key=AnswerKey(truth={}), specification=default_specification(), seed=0)
BASE = ModelIdentity(name="base", digest="0" * 64, device="cpu")


def test_what_a_worker_is_told_is_the_same_for_organism_and_twin(tmp_path: Path) -> None:
    """But for the opaque name, and the folder with its digest."""
    told = {}
    for number, role in enumerate(("organism", "twin")):
        presented = Done(f"{number}", tmp_path / f"{number}", Presented(files=("model",)), Cost(), f"digest {number}")
        [(name, look)] = looks_at({f"subject-{number}": presented}, ["consistency"], AUDITOR, BASE).items()
        task = task_for(Cell(name, assess, {**look, "code": "1"}), "key", tmp_path, 60)
        told[role] = task.model_dump_json()
        assert not any(word in told[role] for word in ("lying", "organism", "twin", "secret", "benign", "gate"))
    masked = told["organism"].replace("subject-0", "subject-1").replace("digest 0", "digest 1")
    assert masked.replace('"key":"0"', '"key":"1"').replace(f"{tmp_path}/0", f"{tmp_path}/1") == told["twin"]
