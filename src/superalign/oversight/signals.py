"""From an overseer's judgements to the signal that students learn from: labels, preferences or rewards of steps.

Whichever it is, the overseer is asked in the same way, one judgement each, and knows no more truth. A preference is
between the two answers to a question; a reward is the approval of one step alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.errors import PlanError
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.signals import Given, Label, Preference, Signal, SignalName, StepReward
from superalign.provenance.digest import canonical_json
from superalign.runs.plan import Plan
from superalign.tasks.steps import place, task_of_steps


def signal_of(name: SignalName, questions: Sequence[Question], judged: Sequence[Judgement | Unscored]) -> Signal:
    """What the judgements give. Who sees no reason for either answer prefers neither, and approves of nothing."""
    writes = {"labels": label, "preferences": preference, "steps": step_reward}[name]
    given = tuple(
        own if isinstance(own, Unscored) else writes(question, own.probability)
        for question, own in zip(questions, judged, strict=True)
    )
    return Signal(name=name, questions=tuple(questions), given=given)


def label(question: Question, probability: float) -> Given:
    yes = probability > 0.5
    return Label(
        question_id=question.id, answer="Yes" if yes else "No", probability=probability if yes else 1 - probability
    )


def preference(question: Question, probability: float) -> Given:
    if probability > 0.5:
        return Preference(question_id=question.id, chosen="Yes", rejected="No", probability=probability)
    if 1 - probability > 0.5:
        return Preference(question_id=question.id, chosen="No", rejected="Yes", probability=1 - probability)
    return Unscored(reason="the overseer prefers neither answer")


def step_reward(question: Question, probability: float) -> Given:
    if probability == 0.5:
        return Unscored(reason="the overseer neither approves nor disapproves of the step")
    whole, line = place(question)
    return StepReward(question_id=whole, step=line, reward=probability)


def as_lines(signal: Signal) -> str:
    """One JSON object a line: what was asked, and what was given, or why nothing was."""
    rows = (
        {"prompt": question.asked, "group": question.group, "question_id": question.id, **given.model_dump()}
        for question, given in zip(signal.questions, signal.given, strict=True)
    )
    return "".join(f"{canonical_json(row).decode()}\n" for row in rows)


def check_signal(plan: Plan) -> None:
    """PlanError when the plan's task has no steps to reward, or its back end can't learn from preferences."""
    signal, training = plan.oversee.signal, plan.generalize.training
    if signal == "steps":
        task_of_steps(plan)
    elif plan.oversee.steps is not None:
        raise PlanError(
            f"Steps are judged for rewards of steps, and the signal is {signal}.",
            where="oversee.steps",
            fix="Leave it out, or set oversee.signal to steps.",
        )
    if signal == "preferences" and (training.backend, training.trained) != ("fast", "adapters"):
        raise PlanError(
            f"The back end {training.backend!r} does not train {training.trained!r} on preferences.",
            where="generalize.training",
            fix="Choose the back end fast, and train adapters.",
        )
