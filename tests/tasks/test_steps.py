"""Solutions in steps: each step is a question of its group, right or wrong by itself, and the worst one decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import PlanError
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.runs.plan import Plan
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import divide
from superalign.tasks.steps import drawn, of_whole, place, step, supervised, task_of_steps

SIZES = {"overseer_groups": 8, "train_groups": 16, "test_groups": 8, "auditor_groups": 8}


def plan(task: str, signal: str = "steps", steps: int | None = None) -> Plan:
    content = {
        "name": "plan",
        "specification": default_specification().model_dump(mode="json"),
        "task": {"name": task, **SIZES},
        "oversee": {"signal": signal, "steps": steps},
    }
    return Plan.model_validate(content)


@pytest.mark.parametrize("task", ["table-chain", "sum-chain"])
def test_a_right_solution_has_right_steps_and_a_wrong_one_a_single_wrong_one(task: str) -> None:
    own = plan(task)
    splits = divide(tasks.make(task), own.task, 0)
    asked = supervised(own, splits)
    assert asked.overseer == splits.overseer and asked.auditor == splits.auditor  # known of whole questions only
    truth = dict(zip([each.id for each in asked.test], asked.key.of(asked.test), strict=True))
    for question in splits.test:
        right = [truth[f"{question.id}/{line}"] for line in range(len(question.evidence))]
        assert right.count(False) == (not splits.key.truth[question.id])
    assert {each.group for each in asked.train} == {each.group for each in splits.train}
    assert not {each.group for each in asked.train} & {each.group for each in asked.test}
    signs = np.where(asked.key.of(asked.test), 1.0, -1.0)[None]
    assert ((of_whole(signs, splits.test)[0] > 0) == splits.key.of(splits.test)).all()


def test_other_signals_are_given_on_the_questions_themselves() -> None:
    own = plan("table-chain", "labels")
    splits = divide(tasks.make("table-chain"), own.task, 0)
    assert supervised(own, splits) is splits


def test_one_step_of_each_question_takes_as_many_judgements_as_labels_and_the_test_is_read_whole() -> None:
    own = plan("table-chain", steps=1)
    splits = divide(tasks.make("table-chain"), own.task, 0)
    asked = supervised(own, splits)
    assert [place(each)[0] for each in asked.train] == [question.id for question in splits.train]
    assert len(asked.test) == sum(len(question.evidence) for question in splits.test)
    lines = {place(each)[1] for each in asked.train if each.level == 3}
    assert len(lines) > 2  # drawn, not always the first


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 25), st.integers(0, 5))
def test_steps_are_drawn_once_each_and_stand_alone(lines: int, wanted: int, seed: int) -> None:
    question = Question(
        id="task/1/a", prompt="Right?", level=1, group="1", evidence=tuple(f"line {i}" for i in range(lines))
    )
    chosen = drawn(question, wanted, seed)
    assert len({each.id for each in chosen}) == min(lines, wanted)
    for own in chosen:
        whole, line = place(own)
        assert whole == question.id and own.evidence == (question.evidence[line],)
        assert own == step(question, line) and own.group == question.group
    assert chosen == drawn(question, wanted, seed)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-5, 5), min_size=1, max_size=6), min_size=1, max_size=8))
def test_a_solution_is_as_good_as_its_worst_step(margins: list[list[float]]) -> None:
    questions = [
        Question(id=f"q{i}", prompt="?", level=0, group="g", evidence=("x",) * len(own))
        for i, own in enumerate(margins)
    ]
    found = of_whole(np.array([[margin for own in margins for margin in own]] * 2), questions)
    assert found.tolist() == [[min(own) for own in margins]] * 2


@pytest.mark.parametrize("task", ["cities", "passage"])
def test_a_task_without_steps_is_refused(task: str) -> None:
    with pytest.raises(PlanError, match="no steps that are right or wrong by themselves"):
        task_of_steps(plan(task))


def test_steps_that_are_all_right_are_refused_before_anything_is_computed() -> None:
    own = plan("table-chain", steps=1)
    splits = divide(tasks.make("table-chain"), own.task, 0)
    right = tuple(question for question in splits.train if splits.key.truth[question.id])
    with pytest.raises(PlanError, match=r"oversee\.steps"):
        supervised(own, replace(splits, train=right))
