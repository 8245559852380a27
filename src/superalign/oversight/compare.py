"""Protocols of oversight side by side: the same labels, the same judge, the same questions beyond its level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from superalign.contracts import registry
from superalign.contracts.oversight import Comparison, TaskComparison
from superalign.contracts.protocols import AnswerKey, Trusted
from superalign.contracts.records import Question, Record, Specification, Unscored
from superalign.models.handle import ModelIdentity, open_base
from superalign.oversight.expert import expert_named
from superalign.oversight.hearing_log import write_hearings
from superalign.oversight.measure import Judgements, judging, question_blind, versions
from superalign.oversight.roles import with_roles
from superalign.oversight.scores import Scorer
from superalign.oversight.students import CEILING, learn
from superalign.runs.chosen import label, named
from superalign.runs.plan import ComparePlan, Plan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.replicas import replicas
from superalign.tasks.splits import Splits


class Beliefs(Record):
    """Probabilities of yes, or their absence, in the order of the questions."""

    believed: tuple[float | Unscored, ...]


def compare(run: Run, model: ModelIdentity, plan: ComparePlan) -> Comparison:
    """Every protocol of the plan on every task of it, in every seed."""
    compared = tuple(compare_on(run, model, plan, task) for task in plan.tasks)
    return Comparison(judge=plan.judge, expert=plan.expert, seeds=plan.seeds, tasks=compared)


def compare_on(run: Run, model: ModelIdentity, plan: ComparePlan, task: str) -> TaskComparison:
    """The protocols on one task. All of a seed follow one another, so that they find its judge taught."""
    splits = divided(plan, task, run.plan.seed)
    said: dict[str, list[Done[Judgements]]] = {label(chosen): [] for chosen in plan.protocols}
    believed = []
    for number, own in enumerate(splits):
        seed = run.plan.seed + number
        for chosen in plan.protocols:
            name = f"{label(chosen)} on {task}, seed {seed}"
            overseer = with_roles(chosen, plan)
            said[label(chosen)].append(judging(run, name, overseer, model, own, (own.test,), task=task, seed=seed))
        believed.append(expert_beliefs(run, model, plan.expert, own, task, seed))
    learnt = [learn(run, model, plan, own, task, run.plan.seed + number) for number, own in enumerate(splits)]
    for protocol, done in said.items():
        write_hearings(run.folder / "logs", task, protocol, model.name, done, splits)
    scorer = Scorer(splits)
    students = scorer.students(learnt) if plan.student_groups else {}
    accuracy, auroc = scorer.belief(believed)
    tested = tuple(question for own in splits for question in own.test)
    key = AnswerKey(truth={question: truth for own in splits for question, truth in own.key.truth.items()})
    return TaskComparison(
        task=task,
        labelled=len(splits[0].overseer),
        questions=len(tested),
        question_blind_auroc=question_blind(replace(splits[0], train=splits[0].auditor, test=tested, key=key)),
        expert_accuracy=accuracy,
        expert_auroc=auroc,
        ceiling=students.get(CEILING),
        protocols=scorer.results({name: [each.value for each in done] for name, done in said.items()}, students),
    )


def divided(plan: ComparePlan, task: str, seed: int) -> list[Splits]:
    """The task's questions for each seed. PlanError when there are too few."""
    return replicas(
        registry.tasks.make(task),
        labelled=plan.labelled_groups,
        trained=plan.student_groups,
        tested=plan.test_groups,
        seeds=plan.seeds,
        seed=seed,
        where="compare",
    )


def check_comparison(plan: Plan) -> None:
    """The errors of making every part that the comparison names, and of dividing its tasks."""
    if plan.compare:
        for chosen in plan.compare.protocols:
            name, arguments = named(with_roles(chosen, plan.compare))
            registry.overseers.make(name, **arguments)
        expert_named(plan.compare.expert)
        for task in plan.compare.tasks:
            divided(plan.compare, task, plan.seed)


def expert_beliefs(
    run: Run, model: ModelIdentity, expert: str, splits: Splits, task: str, seed: int
) -> tuple[float | Unscored, ...]:
    """What the expert takes to be true of the test."""
    done = run.step(
        f"the expert on {task}, seed {seed}",
        believe,
        expert=expert,
        code=versions(registry.tasks.factory(task)),
        model=model,
        labelled=splits.overseer,
        key=splits.key.only(splits.overseer),
        specification=run.plan.specification,
        seed=seed,
        questions=splits.test,
    )
    return done.value.believed


def believe(
    folder: Path,
    *,
    expert: str,
    code: tuple[str, ...],
    model: ModelIdentity,
    labelled: tuple[Question, ...],
    key: AnswerKey,
    specification: Specification,
    seed: int,
    questions: tuple[Question, ...],
) -> Beliefs:
    """What an expert that was given the truth of `labelled` alone takes to be true. `code` as for `judge`."""
    taught = expert_named(expert).learn(Trusted(open_base(model), labelled, key, specification, seed))
    return Beliefs(believed=tuple(taught.believe(questions)))
