"""Protocols compared in a run that ends there, by programs whose worth is known; and one of them as the overseer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log
from typer.testing import CliRunner

from superalign import pipeline
from superalign.cli.app import app
from superalign.contracts.errors import InputError, PlanError, SuperalignError, UnknownName
from superalign.contracts.oversight import ProtocolResult
from superalign.contracts.records import Interval
from superalign.runs.plan import Plan
from superalign.runs.run import Run

from .conftest import Finished, Recorder, carry_out, write_plan

TASK = {"name": "passage", "overseer_groups": 6, "train_groups": 12, "test_groups": 8, "auditor_groups": 8}
COMPARE = {
    "protocols": ["direct", "consultancy", "critique", "debate", {"debate": {"order": "sequential"}}],
    "judge": "scripted",
    "expert": "scripted",
    "labelled_groups": 4,
    "test_groups": 30,
    "seeds": 2,
}


@pytest.fixture(scope="module")
def compared(make_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    plan = make_plan(until="oversee", task=TASK, compare=COMPARE)
    return carry_out(tmp_path_factory.mktemp("compared"), plan)


def results(run: Finished) -> dict[str, ProtocolResult]:
    assert run.summary.comparison is not None
    [task] = run.summary.comparison.tasks
    return {found.protocol: found for found in task.protocols}


def test_the_run_ends_there_with_summary_and_report(compared: Finished) -> None:
    assert compared.summary.oversight and compared.summary.comparison and not compared.summary.generalization
    assert json.loads((compared.folder / "summary.json").read_text()) == compared.summary.model_dump(mode="json")
    page = (compared.folder / "report.html").read_text()
    assert 'id="protocols"' in page and "debate (order sequential)" in page


def test_who_chooses_what_the_judge_reads_makes_the_difference(compared: Finished) -> None:
    """Known beforehand: two of many lines seldom tell; of two experts one shows the line that does."""
    found = results(compared)
    for name, result in found.items():
        assert (result.judged, result.unscored) == (2 * 3 * 30 * 2, 0), name
    for name in ("debate", "debate (order sequential)"):
        for gain in (found[name].over_direct, found[name].over_consultancy, found[name].asd):
            assert isinstance(gain, Interval) and gain.low > 0
        accuracy = found[name].accuracy
        assert isinstance(accuracy, Interval) and 0.88 < accuracy.value < 0.98
    levels = [level.accuracy.value for level in found["direct"].levels if isinstance(level.accuracy, Interval)]
    assert len(levels) == 3 and levels[0] > levels[-1]


def test_hearings_of_a_debate_and_a_critique_are_kept(compared: Finished) -> None:
    for name in ("debate", "critique"):
        right, wrong = results(compared)[name].hearings
        assert right.right and not wrong.right
        assert all(hearing.transcript[1].content.startswith("Is the ") for hearing in (right, wrong))
        assert any(message.content.startswith("For no:") for message in right.transcript)


def test_every_hearing_is_in_a_log_of_inspect(compared: Finished) -> None:
    logs = {log.eval.task: log for log in map(read_eval_log, map(str, (compared.folder / "logs").glob("*.eval")))}
    assert set(logs) == {f"passage/{name}" for name in results(compared)}
    for name, result in results(compared).items():
        log = logs[f"passage/{name}"]
        assert log.status == "success" and log.results and len(log.samples or ()) == result.judged
        assert isinstance(result.accuracy, Interval)
        assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(result.accuracy.value)
    sample = next(iter(logs["passage/debate"].samples or ()))
    assert sample.target in ("yes", "no") and sample.messages[-1].role == "assistant"
    assert sample.scores and sample.scores["right"].metadata
    assert len(sample.events) == len(sample.messages) == 5  # who plays whom, the question, both sides, the judge


def test_nothing_is_done_twice_and_the_logs_stay(compared: Finished) -> None:
    logs = {path: path.stat().st_mtime_ns for path in (compared.folder / "logs").glob("*.eval")}
    again = carry_out(compared.root, compared.plan)
    assert all(reused for _, reused in again.finished) and again.summary == compared.summary
    assert {path: path.stat().st_mtime_ns for path in (compared.folder / "logs").glob("*.eval")} == logs


def test_the_verb_shows_the_comparison_and_where_the_report_is(compared: Finished, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, compared.plan)
    done = CliRunner().invoke(app, ["oversee", str(plan), "--runs", str(compared.root), "--display", "none"])
    assert done.exit_code == 0, done.output
    shown, _, report = done.stdout.partition("\n\nReport: ")
    assert "Oversight protocols on passage" in shown and report.strip() == str(compared.folder / "report.html")
    lines = [line for line in shown.splitlines() if str(compared.root) not in line]  # a path is not folded
    assert max(map(len, lines)) <= 80


def test_learning_costs_each_protocol_what_it_would_by_itself(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    """They share a judge and an expert, which are taught once: whoever comes first must not pay for all."""
    sizes = {"labelled_groups": 4, "test_groups": 4, "seeds": 1}
    plan = make_plan(until="oversee", task=TASK, compare={"protocols": ["direct", "critique", "debate"], **sizes})
    found = results(carry_out(tmp_path, plan))
    passes = {name: result.learning.forward_passes for name, result in found.items()}
    assert 0 < passes["direct"] < passes["critique"] == passes["debate"]
    assert all(result.cost.forward_passes > 0 for result in found.values())


def test_a_protocol_with_arguments_gives_the_labels_that_students_learn_from(
    make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    overseer = {"debate": {"judge": "scripted", "expert": "scripted", "order": "sequential"}}
    run = carry_out(tmp_path, make_plan(until="generalize", task=TASK, oversee={"overseer": overseer}))
    assert run.summary.oversight and run.summary.generalization
    assert run.summary.oversight.overseer == "debate (judge scripted, expert scripted, order sequential)"
    assert run.summary.oversight.labelled == 24 and run.summary.oversight.accuracy > 0.7
    assert run.summary.generalization.weak.accuracy > 0.7
    assert (run.folder / "report.html").is_file()


def test_students_learn_each_protocols_labels_and_meet_the_truth(
    make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    """A debate of programs labels nearly every question, direct only those of which it was shown the right line."""
    sizes = {"labelled_groups": 4, "test_groups": 6, "student_groups": 8, "seeds": 2}
    compare = {**COMPARE, **sizes, "protocols": ["direct", "debate"], "training": {"steps": 4, "batch": 8}}
    run = carry_out(tmp_path, make_plan(until="oversee", task=TASK, compare=compare))
    assert run.summary.comparison
    [task] = run.summary.comparison.tasks
    labels = {own.protocol: own.student.labels for own in task.protocols if own.student}
    assert task.ceiling and task.ceiling.labels == 2 * 3 * 8 * 2  # seeds, levels, groups, questions of each
    assert labels["direct"] < labels["debate"] <= task.ceiling.labels
    assert all(isinstance(own.student.accuracy, Interval) for own in task.protocols if own.student)
    assert "learnt from each protocol" in (run.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("sections", "kind", "said"),
    [
        ({"compare": {"protocols": ["debat"]}}, UnknownName, "Did you mean 'debate'?"),
        ({"compare": {"tasks": ["passages"]}}, UnknownName, "Did you mean 'passage'?"),
        ({"compare": {"protocols": [{"debate": {"ordr": "sequential"}}]}}, InputError, "ordr"),
        ({"compare": {"protocols": [{"debate": {"order": "sequentiell"}}]}}, InputError, "sequential"),
        ({"compare": {"judge": "scripd"}}, InputError, "'scripd'"),
        ({"compare": {"test_groups": 200}}, PlanError, "groups left"),
        ({"oversee": {"overseer": {"debate": {"ordr": "sequential"}}}}, InputError, "ordr"),
    ],
)
def test_what_can_not_be_compared_is_refused_before_anything_is_computed(
    make_plan: Callable[..., Plan], tmp_path: Path, sections: dict[str, Any], kind: type[SuperalignError], said: str
) -> None:
    display = Recorder()
    plan = make_plan(until="oversee", **sections)
    with Run.open(tmp_path, plan, display=display) as run, pytest.raises(kind) as error:
        pipeline.run(run)
    assert said in str(error.value) and display.finished == [] and error.value.exit_code == 2


def test_what_is_not_reached_is_not_asked_for(make_plan: Callable[..., Plan]) -> None:
    """A plan that ends before its trial needs no questions for organisms."""
    plan = make_plan(until="oversee", stress={"groups": 1000})
    pipeline.check(plan, plan.until)
    with pytest.raises(PlanError, match="at most 15"):
        pipeline.check(plan, None)
