"""Solutions step by step: each line of a question's evidence as a question of its own, and back.

A step is right or wrong by itself, and a solution right if all of its steps are (Lightman et al. 2023,
arXiv 2305.20050).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey, EvidenceTask
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks
from superalign.runs.plan import Plan
from superalign.tasks.splits import Splits, check_answers

LOOKED_AT = 100  # groups of a task that tell whether its lines are steps


def supervised(plan: Plan, splits: Splits) -> Splits:
    """What the plan's signal is given on: the questions themselves, or their steps, with the truth of these. Of a
    training question as many steps as the plan says, of a test question all. PlanError when all steps that were drawn
    are right, or all are wrong.
    """
    if plan.oversee.signal != "steps":
        return splits
    train = tuple(step for question in splits.train for step in drawn(question, plan.oversee.steps, plan.seed))
    test = tuple(step for question in splits.test for step in drawn(question, None, plan.seed))
    truth = step_truth(task_of_steps(plan), (*train, *test))
    check_answers("training", train, truth, where="oversee.steps")
    key = AnswerKey(truth={**splits.key.truth, **truth.truth})
    return replace(splits, train=train, test=test, key=key)


def drawn(question: Question, wanted: int | None, seed: int) -> list[Question]:
    """So many of its steps by chance, all if None, in their order."""
    lines = range(len(question.evidence))
    kept = len(lines) if wanted is None else min(wanted, len(lines))
    chosen = random.Random(f"steps {seed} {question.id}").sample(lines, kept)
    return [step(question, line) for line in sorted(chosen)]


def step(question: Question, line: int) -> Question:
    """The question of one line alone, of the same group."""
    shown = {"id": f"{question.id}/{line}", "evidence": (question.evidence[line],)}
    return question.model_copy(update=shown)


def place(asked: Question) -> tuple[str, int]:
    """The id of the question that `step` made this one from, and the line."""
    whole, _, line = asked.id.rpartition("/")
    return whole, int(line)


def step_truth(task: EvidenceTask, steps: Sequence[Question]) -> AnswerKey:
    """Whether each step is right, as its task reads it: for metrics and ceilings, never for an overseer."""
    return AnswerKey(truth={own.id: task.bearing(own) == (1,) for own in steps})


def of_whole(
    margins: Float[np.ndarray, "models steps"], questions: Sequence[Question]
) -> Float[np.ndarray, "models questions"]:
    """The least margin among all steps of each question: a solution is no better than its worst step."""
    ends = np.cumsum([len(question.evidence) for question in questions])
    return np.asarray(np.minimum.reduceat(margins, [0, *ends[:-1]], axis=1))


def task_of_steps(plan: Plan) -> EvidenceTask:
    """The plan's task. PlanError unless each line of its evidence is right or wrong, and its answer yes where all are
    right.
    """
    task = tasks.make(plan.task.name)
    if isinstance(task, EvidenceTask):
        questions, key = task.load(limit=LOOKED_AT, seed=plan.seed)
        read = [task.bearing(question) for question in questions]
        right = [set(own) == {1} for own in read]
        if all(own and 0 not in own for own in read) and right == key.of(questions).tolist():
            return task
    raise PlanError(
        f"The questions of {plan.task.name!r} have no steps that are right or wrong by themselves.",
        where="oversee.signal",
        fix="Name a task whose evidence is steps, such as table-chain or sum-chain; or let the signal be labels.",
    )
