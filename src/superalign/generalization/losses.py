"""Weak-to-strong by training loss: what students make of the same weak labels, by how they are trained on them.

Burns et al. 2023 (arXiv 2312.09390), section 4.3. Students of all losses and ceilings share questions, recipe, seeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from superalign.contracts import registry
from superalign.contracts.errors import PlanError
from superalign.contracts.records import Interval, Judgement, Unscored
from superalign.contracts.studies.losses import LossResult, LossStudy, TaskLosses
from superalign.generalization.judging import Judging
from superalign.generalization.pgr import PairedBootstrap, pgr
from superalign.generalization.weak_to_strong import agreement_on_weak_wrong, lessons, overseer_margin, weak_labels
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel, answer, taught
from superalign.runs.chosen import label, named
from superalign.runs.plan import TaskPlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import LossesPlan
from superalign.tasks.calibration import root, squared_calibration_error
from superalign.tasks.metrics import accuracy, percentile_interval
from superalign.tasks.splits import Splits, by_group, divide

Margins = Float[np.ndarray, "seeds questions"]
AUDITOR_GROUPS = 8  # as few as a division takes: no detector looks at these models


def study(run: Run, model: ModelIdentity, plan: LossesPlan, judging: Judging) -> LossStudy:
    """Every loss of the plan on every task of it."""
    tasks = tuple(study_on(run, model, plan, task, judging) for task in plan.tasks)
    return LossStudy(overseer=label(plan.overseer), seeds=plan.seeds, tasks=tasks)


def check(plan: LossesPlan, seed: int) -> None:
    """The errors of making the overseer and of dividing the tasks; PlanError for a task without hard questions."""
    overseer, arguments = named(plan.overseer)
    registry.overseers.make(overseer, **arguments)
    for task in plan.tasks:
        if not divided(plan, task, seed).hard:
            raise PlanError(
                f"The task {task!r} has no levels beyond what an overseer is shown.",
                where="studies.losses.tasks",
                fix="Name a task of several levels; see `superalign tasks list`.",
            )


def divided(plan: LossesPlan, task: str, seed: int) -> Splits:
    """The task's questions, divided as the plan says. PlanError when there are too few."""
    groups = TaskPlan(
        name=task,
        overseer_groups=plan.overseer_groups,
        train_groups=plan.train_groups,
        test_groups=plan.test_groups,
        auditor_groups=AUDITOR_GROUPS,
    )
    return divide(registry.tasks.make(task), groups, seed)


def study_on(run: Run, model: ModelIdentity, plan: LossesPlan, task: str, judging: Judging) -> TaskLosses:
    """All losses on one task."""
    seed = run.plan.seed
    splits = divided(plan, task, seed)
    sets = (splits.train, splits.hard)
    judged = judging(run, f"labels of {task}", plan.overseer, model, splits, sets, task=task, seed=seed).value.judged
    train, test = judged[: len(splits.train)], judged[len(splits.train) :]
    students = train_students(run, model, plan, task, splits, train)

    def answers(name: str, models: Sequence[Done[TrainedModel]]) -> Margins:
        found = [
            run.step(f"{name} {number} on {task}", answer, model=model, questions=splits.hard, trained=own)
            for number, own in enumerate(models, start=1)
        ]
        return np.array([done.value.margins for done in found])

    weak = np.array([overseer_margin(own) for own in test])
    return summarize(task, weak, {name: answers(name, own) for name, own in students.items()}, splits, plan, seed)


def train_students(
    run: Run,
    model: ModelIdentity,
    plan: LossesPlan,
    task: str,
    splits: Splits,
    judged: Sequence[Judgement | Unscored],
) -> dict[str, list[Done[TrainedModel]]]:
    """Students of each loss, by its name, and ceilings on the truth of the same questions."""
    labelled = [(q, said) for q, said in zip(splits.train, weak_labels(judged), strict=True) if said is not None]
    questions = [question for question, _ in labelled]
    by_overseer = lessons(questions, [said for _, said in labelled])
    by_truth = lessons(questions, splits.key.of(questions).tolist())
    seeds = range(plan.seeds)
    material = dict.fromkeys(plan.losses, by_overseer) | {"ceiling": by_truth}
    models = taught(
        run,
        f"students by loss on {task}",
        [own for own in material.values() for _ in seeds],
        [*seeds] * len(material),
        model=model,
        training=plan.training,
    )
    return {name: models[place * plan.seeds :][: plan.seeds] for place, name in enumerate(material)}


def summarize(
    task: str,
    weak: Float[np.ndarray, "questions"],
    answers: dict[str, Margins],
    splits: Splits,
    plan: LossesPlan,
    seed: int,
) -> TaskLosses:
    """Everything on the hard questions, in the same resamples."""
    truth, groups = splits.key.of(splits.hard), by_group(splits.hard)
    bootstrap = PairedBootstrap(truth, groups, resamples=plan.bootstrap, seed=seed)
    ceiling = answers["ceiling"]
    calibration = squared_calibration_error(groups)

    def result(loss: str) -> LossResult:
        own = answers[loss]
        sure = 1 / (1 + np.exp(-own))
        squared = percentile_interval(bootstrap.value(calibration, sure), bootstrap.resampled(calibration, sure))
        return LossResult(
            loss=loss,
            score=bootstrap.score(own),
            pgr=pgr(weak, own, ceiling, bootstrap, "accuracy"),
            pgr_auroc=pgr(weak, own, ceiling, bootstrap, "auroc"),
            over_xent=over(own, answers.get("xent"), bootstrap),
            agreement_on_weak_wrong=agreement_on_weak_wrong(weak, own, truth, bootstrap)
            or Unscored(reason="the overseer is never wrong here"),
            calibration_error=root(squared),
        )

    return TaskLosses(
        task=task,
        questions=len(truth),
        weak=bootstrap.score(weak[None]),
        ceiling=bootstrap.score(ceiling),
        losses=tuple(map(result, plan.losses)),
    )


def over(own: Margins, xent: Margins | None, bootstrap: PairedBootstrap) -> Interval | Unscored:
    """How much more accurate students are than those of cross-entropy."""
    if xent is None:
        return Unscored(reason="the plan has no students of cross-entropy")
    difference = bootstrap.value(accuracy, own) - bootstrap.value(accuracy, xent)
    return percentile_interval(difference, bootstrap.resampled(accuracy, own) - bootstrap.resampled(accuracy, xent))
