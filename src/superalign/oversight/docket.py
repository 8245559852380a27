"""The questions that are to be heard, and what all who take part are given before."""

from __future__ import annotations

from dataclasses import dataclass

from superalign.contracts.errors import InputError
from superalign.contracts.oversight_measures import Asked
from superalign.contracts.protocols import AnswerKey, EvidenceTask, Task, Trusted
from superalign.contracts.records import Cost, Question, Specification
from superalign.contracts.registry import tasks
from superalign.models.handle import identify, open_base
from superalign.runs.plan import TaskPlan
from superalign.tasks.specification import default_specification
from superalign.tasks.splits import divide


@dataclass(frozen=True)
class Docket:
    """`given` says what may be learnt from; `questions` are of other groups, and `key` is for who measures. `lessons`
    are questions of other groups again, for models that learn from what an overseer makes of them.
    """

    task: Task
    given: Trusted
    questions: tuple[Question, ...]
    key: AnswerKey
    lessons: tuple[Question, ...] = ()

    def asked(self, cost: Cost) -> Asked:
        """How much was asked, for the record."""
        groups = {question.group for question in self.questions}
        return Asked(task=self.task.name, questions=len(self.questions), groups=len(groups), cost=cost)


def docket(
    task: str,
    model: str,
    *,
    labels: int = 50,
    groups: int = 100,
    lessons: int = 8,
    seed: int = 0,
    device: str = "cpu",
    specification: Specification | None = None,
) -> Docket:
    """Questions on `groups` groups of all levels, to be judged by who is given the truth of `labels` easy ones; and
    `lessons` groups more.

    UnknownName for a task that there is not; PlanError when it has too few groups.
    """
    made: Task = tasks.make(task)
    plan = TaskPlan(name=task, overseer_groups=labels, test_groups=groups, train_groups=lessons, auditor_groups=8)
    splits = divide(made, plan, seed)
    subject = open_base(identify(model, device=device))
    wanted = specification or default_specification()
    given = Trusted(subject, splits.overseer, splits.key.only(splits.overseer), wanted, seed)
    return Docket(made, given, splits.test, splits.key.only([*splits.test, *splits.train]), splits.train)


def with_evidence(task: str) -> EvidenceTask:
    """The task of that name. InputError when its questions come without evidence."""
    made = tasks.make(task)
    if not isinstance(made, EvidenceTask):
        raise InputError(
            f"The questions of the task {task!r} come without evidence, of which somebody could be shown a part.",
            fix="Take a task with evidence, such as passage.",
        )
    return made
