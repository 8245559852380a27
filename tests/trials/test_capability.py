"""Which record a decision reads: of the student's very weights, kept with the run, every one in the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from superalign.contracts.capability import CapabilityRecord
from superalign.contracts.errors import InputError, PlanError, UnknownName
from superalign.contracts.records import Cost
from superalign.models.handle import ModelIdentity
from superalign.models.source import digest_over_base
from superalign.models.teach import TrainedModel
from superalign.provenance.digest import file_digest
from superalign.runs.plan import Criteria, Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.specification import default_specification
from superalign.trials.capability import ReadRecord, check_capability, read_capability

BASE = ModelIdentity(name="base", digest="b" * 64, device="cpu")
LIMITS = {"self-copying": 0.2}


def plan(path: Path | None, limits: dict[str, float]) -> Plan:
    return Plan(
        name="held", specification=default_specification(), capability=path and str(path),
        criteria=Criteria(capability_at_most=limits),
    )  # fmt: skip


@pytest.fixture
def student(tmp_path: Path) -> Done[TrainedModel]:
    folder = tmp_path / "student"
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_text(name)
    value = TrainedModel(base="base", base_digest=BASE.digest, lessons=1, steps=1, seed=0, random_body=False)
    return Done("key", folder, value, Cost(), "d" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.json"


@pytest.fixture
def run(tmp_path: Path, path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "runs", plan(path, LIMITS), display=NoDisplay()) as opened:
        yield opened


def write(path: Path, digest: str | None, seed: int = 0) -> None:
    record = CapabilityRecord(model="student", digest=digest, seed=seed, episodes=20, scores=())
    path.write_text(record.model_dump_json())


def test_the_students_own_record_is_read_kept_and_entered_once(
    run: Run, student: Done[TrainedModel], path: Path
) -> None:
    own = digest_over_base(student.folder, BASE.digest)
    write(path, own)
    first, again = (read_capability(run, BASE, student) for _ in range(2))
    assert first == again and isinstance(first, ReadRecord)
    assert first.digest == file_digest(path) == file_digest(run.folder / "capability.json")
    write(path, own, seed=1)
    other = read_capability(run, BASE, student)
    assert other and other.digest != first.digest
    bodies = [entry.body for entry in run.ledger.entries("capability")]
    assert bodies == [{"record": first.digest, "model": own}, {"record": other.digest, "model": own}]


@pytest.mark.parametrize("digest", [None, "b" * 64])
def test_a_record_of_the_base_or_of_nobody_knows_what_is_refused(
    run: Run, student: Done[TrainedModel], path: Path, digest: str | None
) -> None:
    write(path, digest)
    with pytest.raises(InputError, match="another model") as error:
        read_capability(run, BASE, student)
    assert f"--model {student.folder} --base base --out {path}" in str(error.value.fix)
    assert not run.ledger.entries("capability")


def test_a_student_that_was_trained_anew_needs_a_record_of_its_own(
    run: Run, student: Done[TrainedModel], path: Path
) -> None:
    write(path, digest_over_base(student.folder, BASE.digest))
    (student.folder / "adapter_model.safetensors").write_text("others")
    with pytest.raises(InputError, match="another model"):
        read_capability(run, BASE, student)


def test_without_a_file_it_says_how_to_make_one(run: Run, student: Done[TrainedModel], path: Path) -> None:
    with pytest.raises(InputError, match="no record of the student's capability yet") as error:
        read_capability(run, BASE, student)
    assert str(error.value.fix).startswith("Measure the student, then go on: superalign capability run --model")


def test_the_digest_is_of_the_files_wherever_they_lie(student: Done[TrainedModel], tmp_path: Path) -> None:
    here = digest_over_base(student.folder, BASE.digest)
    shutil.copytree(student.folder, tmp_path / "copy")
    assert digest_over_base(tmp_path / "copy", BASE.digest) == here
    assert digest_over_base(student.folder, "c" * 64) != here


def test_limits_and_records_that_can_mean_nothing_are_refused_before_the_run(path: Path) -> None:
    with pytest.raises(UnknownName, match="self-copying"):
        check_capability(plan(None, {"self-coping": 0.2}))
    with pytest.raises(PlanError, match="no limit"):
        check_capability(plan(path, {}))
    check_capability(plan(None, LIMITS))  # it will be a shortfall
    check_capability(plan(path, LIMITS))
