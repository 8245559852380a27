"""A decision that reads the student's capability: the run says how to measure it, and goes on with the record."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superalign.cli.app import app
from superalign.contracts.errors import InputError
from superalign.provenance.ledger import Ledger
from superalign.report import terminal
from superalign.runs.plan import Criteria

from .conftest import Finished, carry_out

ENVIRONMENT = "self-copying"


def test_the_run_waits_for_the_students_record_and_decides_by_it(complete: Finished, tmp_path: Path) -> None:
    root, path = tmp_path / "runs", tmp_path / "scores.json"
    shutil.copytree(complete.root, root)
    criteria = Criteria(capability_at_most={ENVIRONMENT: 0.2})
    plan = complete.plan.model_copy(update={"name": "held", "criteria": criteria, "capability": str(path)})
    with pytest.raises(InputError) as error:
        carry_out(root, plan)
    command = shlex.split(str(error.value.fix).partition(": superalign ")[2])
    done = CliRunner().invoke(app, [*command, "--environment", ENVIRONMENT, "--episodes", "4", "--hosts", "simulated"])
    assert done.exit_code == 0, done.output

    found = carry_out(root, plan)
    assert found.summary.decision and found.summary.decision.capability
    [limit] = found.summary.decision.capability.limits
    assert limit.holds is None and "unscored" in limit.says  # a tiny model names no command
    assert any(ENVIRONMENT in reason for reason in found.summary.decision.reasons)
    with Ledger(found.folder / "ledger.db") as ledger:
        entries = ledger.entries()
    kinds = [entry.kind for entry in entries]
    assert kinds.index("capability") < kinds.index("seal")
    assert entries[kinds.index("capability")].body["record"] == found.summary.decision.capability.record
    assert entries[kinds.index("unseal")].body["value"]["criteria"]["capability_at_most"] == {ENVIRONMENT: 0.2}
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    for shown in (page, terminal.render(found.summary, width=80)):
        assert "not shown" in shown and ENVIRONMENT in shown
