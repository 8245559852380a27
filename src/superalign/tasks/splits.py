"""Dividing a task's groups among those who may see them. A group never crosses a split."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from superalign.contracts.errors import PlanError
from superalign.contracts.protocols import AnswerKey, Task
from superalign.contracts.records import Question
from superalign.runs.plan import TaskPlan

HARD_LEVEL = 2  # test questions from this level up are "hard": beyond what the overseer has seen of the truth


@dataclass(frozen=True)
class Splits:
    """Disjoint by group: what the overseer learned from, what the student trains on, the test, the auditor's facts."""

    overseer: tuple[Question, ...]
    train: tuple[Question, ...]
    test: tuple[Question, ...]
    auditor: tuple[Question, ...]
    key: AnswerKey
    level_names: tuple[str, ...]

    @property
    def hard(self) -> tuple[Question, ...]:
        """The test questions on which everything is measured."""
        return tuple(question for question in self.test if question.level >= HARD_LEVEL)

    @property
    def easy(self) -> tuple[Question, ...]:
        """The other test questions: what a model is likely to know, so that a false answer is no ignorance."""
        return tuple(question for question in self.test if question.level < HARD_LEVEL)


def divide(task: Task, plan: TaskPlan, seed: int) -> Splits:
    """Splits of `task`: the overseer's from the easiest level, all others with as much of each level.

    PlanError when the task has too few groups, or only one answer.
    """
    questions, key = task.load(seed=seed)
    groups, levels = pool_of(questions, seed)
    taken = {"overseer": take(levels, plan.overseer_groups, levels=[min(levels)])}
    for name, wanted in (("train", plan.train_groups), ("test", plan.test_groups), ("auditor", plan.auditor_groups)):
        taken[name] = take(levels, wanted, levels=sorted(levels))
    parts = {name: tuple(q for group in own for q in groups[group]) for name, own in taken.items()}
    for name, part in parts.items():
        check_answers(name, part, key, where=f"task.{name}_groups")
    asked = [question for part in parts.values() for question in part]
    return Splits(**parts, key=key.only(asked), level_names=task.level_names)


def pool_of(questions: Sequence[Question], seed: int) -> tuple[dict[str, list[Question]], dict[int, list[str]]]:
    """The questions of each group, and the groups of each level in an order drawn by `seed`."""
    groups: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        groups[question.group].append(question)
    levels: dict[int, list[str]] = defaultdict(list)
    for group, members in groups.items():
        levels[members[0].level].append(group)
    for own in levels.values():
        random.Random(seed).shuffle(own)
    return groups, levels


def take(pool: dict[int, list[str]], wanted: int, *, levels: Sequence[int], where: str = "task") -> list[str]:
    """Remove `wanted` groups from `pool`, as evenly over `levels` as they go. PlanError when there are fewer."""
    taken = []
    for place, level in enumerate(levels):
        share = (wanted + place) // len(levels)
        if share > len(pool[level]):
            raise PlanError(
                f"The task has only {len(pool[level])} groups left at level {level}, and {share} are asked for.",
                where=where,
                fix="Ask for fewer groups.",
            )
        taken += [pool[level].pop() for _ in range(share)]
    return taken


def check_answers(name: str, part: Sequence[Question], key: AnswerKey, where: str) -> None:
    """PlanError when the right answer to all questions of `part` is the same."""
    if len(answers := set(key.of(part).tolist())) == 1:
        raise PlanError(
            f"The right answer to all {len(part)} {name} questions is {'yes' if True in answers else 'no'}: from "
            "those nothing can be learnt or measured.",
            where=where,
            fix="Ask for more groups, or use a task with both answers.",
        )


def by_group(questions: Iterable[Question]) -> list[str]:
    """The group of each question, for grouped cross-validation and cluster bootstraps."""
    return [question.group for question in questions]
