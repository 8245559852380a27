"""Runs whose students learn from preferences or from steps: what oversight wrote, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from superalign import pipeline
from superalign.cli.options import Step
from superalign.cli.run import show
from superalign.contracts.signals import SIGNAL_FILE
from superalign.report import terminal
from superalign.report.html import render
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run

SIZES = {"overseer_groups": 6, "train_groups": 8, "test_groups": 12, "auditor_groups": 8}


@pytest.mark.parametrize(
    ("task", "oversee", "kind", "plural", "asked"),
    [
        ("cities", {"signal": "preferences"}, "preference", "preferences", 16),
        (
            "table-chain",
            {"overseer": {"direct": {"judge": "scripted"}}, "signal": "steps", "steps": 1},
            "step",
            "step rewards",
            16,
        ),
    ],
)
def test_oversee_writes_the_signal_and_generalize_learns_from_it(
    task: str,
    oversee: dict[str, object],
    kind: str,
    plural: str,
    asked: int,
    make_plan: Callable[..., Plan],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training = {"steps": 2, "batch": 4, "rank": 2}
    plan = make_plan(
        task={"name": task, **SIZES},
        oversee=oversee,
        until="generalize",
        generalize={"seeds": 2, "bootstrap": 100, "training": training},
    )
    with Run.open(tmp_path, plan, display=NoDisplay()) as run:
        found = pipeline.run(run)
        rows = [json.loads(line) for line in (run.folder / SIGNAL_FILE).read_text().splitlines()]
        folder = run.folder
    assert found.oversight is not None and found.generalization is not None
    assert len(rows) == asked == found.oversight.labelled + found.oversight.unscored
    assert {row["kind"] for row in rows} - {"unscored"} == {kind}
    assert sum(row["kind"] == "unscored" for row in rows) == found.oversight.unscored
    assert sum(found.oversight.reasons.values()) == found.oversight.unscored
    assert found.oversight.spent.seconds <= found.oversight.cost.seconds
    assert found.generalization.signal == found.oversight.signal == plan.oversee.signal
    assert f"trained on those {plural}" in terminal.render(found, width=200)
    assert f"{found.oversight.labelled}\N{NO-BREAK SPACE}{plural}" in render(found)
    show(found, Step.OVERSEE, folder, as_json=False)
    said = capsys.readouterr().out
    assert f"{plural}" in said and SIGNAL_FILE in said
