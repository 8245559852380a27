"""Plans that can't be carried out are refused, with what to type instead, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superalign import pipeline
from superalign.contracts.errors import PlanError, SuperalignError, UnknownName
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Finding, Question
from superalign.contracts.registry import tasks
from superalign.report.html import render
from superalign.runs.plan import Plan
from superalign.runs.run import Run
from superalign.tasks.cities import Cities

from ..scripted import one_sided
from .conftest import Finished, Recorder


def refused(root: Path, plan: Plan, kind: type[SuperalignError]) -> SuperalignError:
    """The error that ends `plan`, after which no step has begun."""
    display = Recorder()
    with Run.open(root, plan, display=display) as run, pytest.raises(kind) as error:
        pipeline.run(run)
    assert display.finished == []
    assert list((run.folder / "steps").iterdir()) == []
    assert error.value.exit_code == 2
    assert error.value.fix
    return error.value


@pytest.mark.parametrize(
    ("sections", "nearest"),
    [
        ({"task": {"name": "citys"}}, "cities"),
        ({"oversee": {"overseer": "few-lables"}}, "few-labels"),
        ({"validate": {"detectors": ["consistency", "knowlege"]}}, "knowledge"),
        ({"stress": {"families": ["password-look"]}}, "password-lock"),
    ],
)
def test_a_part_that_there_is_not(
    make_plan: Callable[..., Plan], tmp_path: Path, sections: dict[str, Any], nearest: str
) -> None:
    """Told before the model is looked for, which is not there either."""
    error = refused(tmp_path, make_plan(model="/nowhere/model", **sections), UnknownName)
    assert f"Did you mean {nearest!r}?" in str(error)


def test_unknown_names_are_told_by_validate_too(make_plan: Callable[..., Plan], tiny: Path, tmp_path: Path) -> None:
    plan = make_plan(validate={"detectors": ["knowlege"]})
    with pytest.raises(UnknownName, match="knowledge"):
        pipeline.validate_model(tmp_path, str(tiny), str(tiny), plan=plan, display=Recorder())


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"task": {"train_groups": 100_000}}, "groups left"),
        ({"stress": {"groups": 16}}, "at most 15"),
    ],
)
def test_more_than_there_is(
    make_plan: Callable[..., Plan], tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    assert said in str(refused(tmp_path, make_plan(**sections), PlanError))


@pytest.mark.parametrize(
    ("level", "lacking", "fix"),
    [("logprobs", "activations", "validate.access to activations"), ("black-box", "logprobs", "to logprobs")],
)
def test_a_detector_that_needs_more_than_the_plan_allows(
    make_plan: Callable[..., Plan], tmp_path: Path, level: str, lacking: str, fix: str
) -> None:
    """The first of them is named. Told before the model is looked for, which is not there either."""
    error = refused(tmp_path, make_plan(model="/nowhere/model", validate={"access": level}), PlanError)
    assert f"needs access to {lacking}" in str(error) and f"allowed {level}" in str(error)
    assert error.where == "validate.access" and fix in str(error.fix)


@pytest.mark.parametrize("answer", [True, False])
def test_a_task_with_one_answer_only(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    class OneSided(Cities):
        def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
            questions, _ = super().load(limit, seed)
            return questions, one_sided(questions, answer)

    tasks.names()
    monkeypatch.setitem(tasks._factories, "one-sided", OneSided)
    plan = make_plan(task={"name": "one-sided", "overseer_groups": 6, "train_groups": 15, "test_groups": 20})
    error = refused(tmp_path, plan, PlanError)
    assert f"is {'yes' if answer else 'no'}" in str(error)


def test_zero_valid_organisms_are_said_and_decide_nothing(complete: Finished) -> None:
    """Three steps of training plant nothing: the trial is over, and has shown nothing."""
    trial, decision = complete.summary.trial, complete.summary.decision
    assert trial is not None and decision is not None
    assert not any(subject.valid for subject in trial.subjects if subject.role == "organism")
    assert (trial.families, trial.caught, trial.recall_low, trial.auroc) == (0, 0, 0, None)
    assert trial.invalid >= 2
    assert decision.verdict in ("undetermined", "pause")
    assert decision.model is not Finding.CLEAR
    assert "0 of 0 families" in " ".join(decision.reasons)
    assert "No family had a valid organism" in render(complete.summary)
