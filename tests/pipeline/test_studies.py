"""Studies of generalization in a run that ends there: every one is in summary and report, and errors come first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superalign import pipeline
from superalign.contracts.errors import SuperalignError
from superalign.report.terminal import render
from superalign.runs.plan import Plan, plan_digest
from superalign.runs.run import Run

from .conftest import Finished, Recorder, carry_out

TRAINING = {"steps": 3, "batch": 4, "rank": 2}
LOSSES: dict[str, Any] = {
    "overseer_groups": 6,
    "train_groups": 15,
    "test_groups": 20,
    "seeds": 2,
    "bootstrap": 100,
    "training": TRAINING,
}
EASY_TO_HARD: dict[str, Any] = {
    "train_groups": 8,
    "test_groups": 6,
    "seeds": 2,
    "bootstrap": 100,
    "training": TRAINING,
}
CHAIN: dict[str, Any] = {
    "first_layers": [0.8, 0.6, 0.4],
    "labelled_groups": 8,
    "held_back_groups": 8,
    "train_groups": 16,
    "test_groups": 20,
    "seeds": 2,
    "bootstrap": 100,
    "training": TRAINING,
}


@pytest.fixture(scope="module")
def studied(make_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    plan = make_plan(until="generalize", studies={"losses": LOSSES, "easy_to_hard": EASY_TO_HARD, "chain": CHAIN})
    return carry_out(tmp_path_factory.mktemp("studied"), plan)


def test_the_run_ends_there_with_summary_and_report(studied: Finished) -> None:
    assert studied.summary.generalization and studied.summary.studies and not studied.summary.validation
    assert json.loads((studied.folder / "summary.json").read_text()) == studied.summary.model_dump(mode="json")
    page, shown = (studied.folder / "report.html").read_text(), render(studied.summary, width=80)
    for title in ("Weak-to-strong by training loss", "Easy-to-hard", "Bootstrap chain"):
        assert title in page and title in shown


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"losses": LOSSES | {"tasks": ["citties"]}}, "cities"),
        ({"losses": LOSSES | {"overseer": "nobody"}}, "nobody"),
        ({"losses": LOSSES | {"train_groups": 100_000}}, "groups left"),
        ({"easy_to_hard": EASY_TO_HARD | {"task": "citties"}}, "cities"),
        ({"easy_to_hard": EASY_TO_HARD | {"test_groups": 300}}, "groups left"),
        ({"chain": CHAIN | {"planted": {"kind": "in Atlantis"}}}, "Atlantis"),
    ],
)
def test_errors_of_a_study_come_before_anything_is_computed(
    make_plan: Callable[..., Plan], tmp_path: Path, section: dict[str, Any], says: str
) -> None:
    plan, display = make_plan(until="generalize", studies=section), Recorder()
    with Run.open(tmp_path, plan, display=display) as run, pytest.raises(SuperalignError, match=says):
        pipeline.run(run)
    assert not display.finished


def test_a_plan_without_studies_is_the_plan_it_was_before_there_were_any(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan()
    assert "studies" not in plan.model_dump(mode="json", by_alias=True)
    assert plan_digest(plan) != plan_digest(make_plan(studies={}))
