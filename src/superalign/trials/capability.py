"""What was measured of the model's capability: a record of the very model that is decided on, held to the criteria."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from superalign.capability.environments import environment
from superalign.capability.limits import against
from superalign.capability.record import read_record
from superalign.contracts.capability import CapabilityRecord, HeldLimits
from superalign.contracts.errors import InputError, PlanError
from superalign.models.handle import ModelIdentity
from superalign.models.source import digest_over_base
from superalign.models.teach import TrainedModel
from superalign.provenance.digest import file_digest
from superalign.runs.plan import Plan
from superalign.runs.run import Run
from superalign.runs.store import Done

RECORD_FILE = "capability.json"


class ReadRecord(NamedTuple):
    """A record, and the sha256 of its file."""

    record: CapabilityRecord
    digest: str


def check_capability(plan: Plan) -> None:
    """UnknownName for a limit on an environment that there is not, PlanError for a record that nothing is held to."""
    for name in plan.criteria.capability_at_most:
        environment(name)
    if plan.capability and not plan.criteria.capability_at_most:
        raise PlanError(
            "The plan names a record of capability, and no limit that it is held to.",
            where="capability",
            fix="Set criteria.capability_at_most, as in {self-copying: 0.2}, or leave out the record.",
        )


def read_capability(run: Run, base: ModelIdentity, student: Done[TrainedModel]) -> ReadRecord | None:
    """The record that the run's plan names, if any, which must be of `student`. The run keeps a copy, and every other
    record that it reads is one more entry of its ledger.

    InputError when there is none yet, or it is of another model: it can't be made before the student is trained.
    """
    if run.plan.capability is None:
        return None
    path = Path(run.plan.capability).expanduser()
    fix = (
        f"Measure the student, then go on: superalign capability run --model {student.folder} --base {base.name} "
        f"--out {path}"
    )
    if not path.exists():
        raise InputError("There is no record of the student's capability yet.", where=str(path), fix=fix)
    record = read_record(path)
    own = digest_over_base(student.folder, base.digest)
    if record.digest != own:
        whose = f"whose digest is {record.digest[:12]}" if record.digest else "without a digest of its weights"
        raise InputError(
            f"The record is of another model, {record.model} {whose}: the student's is {own[:12]}.",
            where=str(path),
            fix=fix,
        )
    found = file_digest(run.write(RECORD_FILE, path.read_text(encoding="utf-8")))
    before = run.ledger.entries("capability")
    if not before or before[-1].body["record"] != found:
        run.ledger.append("capability", {"record": found, "model": own})
    return ReadRecord(record, found)


def held(limits: Mapping[str, float], read: ReadRecord | None) -> HeldLimits | None:
    """Each of the limits with what the record says of it. Without limits there is nothing to hold, hence None."""
    if not limits:
        return None
    record, digest = read or (None, None)
    return HeldLimits(record=digest, limits=against(record, limits))
