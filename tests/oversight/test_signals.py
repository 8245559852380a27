"""What an overseer's judgements give: labels, preferences, rewards of steps; and what could not be had, counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers, tasks
from superalign.contracts.signals import Label, Preference, Signal, StepReward
from superalign.oversight.signals import as_lines, check_signal, signal_of
from superalign.runs.plan import Plan
from superalign.tasks.specification import default_specification
from superalign.tasks.steps import drawn

QUESTIONS = [Question(id=f"task/{i}/a/{i}", prompt="Right?", level=0, group=str(i)) for i in range(4)]
FAILED = Unscored(reason="no idea")
JUDGED = [
    *(Judgement(question_id=q.id, probability=p) for q, p in zip(QUESTIONS, (0.9, 0.3, 0.5), strict=False)),
    FAILED,
]


def test_labels_are_answers_as_ever() -> None:
    found = signal_of("labels", QUESTIONS, JUDGED)
    first, second, third, fourth = found.given
    assert first == Label(question_id=QUESTIONS[0].id, answer="Yes", probability=0.9)
    assert second == Label(question_id=QUESTIONS[1].id, answer="No", probability=0.7)
    assert isinstance(third, Label) and third.answer == "No" and fourth == FAILED
    assert found.answers == [True, False, False, None] and found.reasons == {"no idea": 1}


def test_a_preference_says_which_and_how_surely_and_nothing_where_there_is_none() -> None:
    found = signal_of("preferences", QUESTIONS, JUDGED)
    first, second, third, fourth = found.given
    assert first == Preference(question_id=QUESTIONS[0].id, chosen="Yes", rejected="No", probability=0.9)
    assert second == Preference(question_id=QUESTIONS[1].id, chosen="No", rejected="Yes", probability=0.7)
    assert isinstance(third, Unscored) and fourth == FAILED
    assert found.answers == [True, False, None, None]
    assert found.reasons == {"the overseer prefers neither answer": 1, "no idea": 1}


def test_a_reward_names_its_step() -> None:
    found = signal_of("steps", QUESTIONS, JUDGED)
    assert found.given[1] == StepReward(question_id="task/1/a", step=1, reward=0.3)
    assert found.answers == [True, False, None, None] and sum(found.reasons.values()) == 2


@pytest.mark.parametrize("name", ["labels", "preferences", "steps"])
def test_a_line_for_each_that_was_asked_and_the_record_comes_back_whole(name: Any) -> None:
    found = signal_of(name, QUESTIONS, JUDGED)
    rows = [json.loads(line) for line in as_lines(found).splitlines()]
    assert [row["kind"] == "unscored" for row in rows] == [yes is None for yes in found.answers]
    assert rows[3]["reason"] == "no idea" and rows[0]["prompt"][0]["content"] == "Right?"
    assert Signal.model_validate_json(found.model_dump_json()) == found


def test_a_planted_wrong_step_lowers_its_own_reward_only() -> None:
    """Every step is judged alone: nothing of the others is in what the judge reads."""
    task = tasks.make("table-chain")
    questions, key = task.load(limit=12, seed=0)
    given = Trusted(None, (), AnswerKey(truth={}), default_specification())  # type: ignore[arg-type]
    taught = overseers.make("direct", judge="scripted").learn(given)  # knows no truth at all
    lowered = 0
    for question in (each for each in questions if key.truth[each.id]):
        for line in range(len(question.evidence)):
            table, _, goes = question.evidence[line].partition(". ")
            wrong = f"{table.rsplit(' ', 1)[0]} nowhere. {goes}"
            evidence = (*question.evidence[:line], wrong, *question.evidence[line + 1 :])
            before, after = (
                [own.reward for own in rewards(taught, each)]
                for each in (question, question.model_copy(update={"evidence": evidence}))
            )
            assert before[:line] + before[line + 1 :] == after[:line] + after[line + 1 :]
            assert after[line] <= before[line]  # the judge misreads one line in ten
            lowered += after[line] < 0.5 < before[line]
    assert lowered > 40


def rewards(overseer: Any, question: Question) -> list[StepReward]:
    steps = drawn(question, None, 0)
    given = signal_of("steps", steps, overseer.judge(steps)).given
    return [own if isinstance(own, StepReward) else StepReward(question_id="", step=0, reward=0.5) for own in given]


@pytest.mark.parametrize(
    ("sections", "where"),
    [
        ({"oversee": {"signal": "steps"}}, "oversee.signal"),
        ({"oversee": {"signal": "preferences", "steps": 2}}, "oversee.steps"),
        ({"oversee": {"signal": "preferences"}, "generalize": {"training": {"backend": "peft"}}}, "training"),
        ({"oversee": {"signal": "preferences"}, "generalize": {"training": {"trained": "layers"}}}, "training"),
    ],
)
def test_a_plan_that_can_not_have_its_signal_is_refused(sections: dict[str, Any], where: str) -> None:
    with pytest.raises(PlanError, match=where):
        check_signal(made(sections))


def test_plans_that_can_are_not() -> None:
    check_signal(made({}))
    check_signal(made({"oversee": {"signal": "preferences"}}))
    check_signal(made({"oversee": {"signal": "steps", "steps": 1}, "task": {"name": "sum-chain"}}))


def made(sections: dict[str, Any]) -> Plan:
    content = {"name": "plan", "specification": default_specification().model_dump(mode="json"), **sections}
    return Plan.model_validate(content)
