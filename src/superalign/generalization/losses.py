"""Weak-to-strong by training loss: what students make of the same weak labels, by how they are trained on them.

Burns et al. 2023 (arXiv 2312.09390), section 4.3. Students of all losses and ceilings share questions, recipe, seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from jaxtyping import Float

from superalign.contracts import registry
from superalign.contracts.errors import InputError, PlanError
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Interval, Judgement, Question, Unscored
from superalign.contracts.studies.losses import LossResult, LossStudy, Reference, TaskLosses
from superalign.generalization.confident_learning import doubts
from superalign.generalization.judging import Judging
from superalign.generalization.own_labels import own_labels
from superalign.generalization.pgr import PairedBootstrap, pgr
from superalign.generalization.weak_to_strong import agreement_on_weak_wrong, lessons, overseer_margin
from superalign.models.handle import ModelIdentity
from superalign.models.label_loss import LabelLoss
from superalign.models.teach import TrainedModel, answer, taught
from superalign.runs.chosen import label, named
from superalign.runs.plan import TaskPlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import LossesPlan, LossName
from superalign.tasks.calibration import root, squared_calibration_error
from superalign.tasks.metrics import percentile_interval
from superalign.tasks.splits import Splits, by_group, divide

Margins = Float[np.ndarray, "seeds questions"]
AUDITOR_GROUPS = 8  # as few as a division takes: no detector looks at these models
KEPT = 0.5  # the share of weak labels that `filtered` keeps
# Steps in which a student's agreement with held-out weak labels has not risen, after which it stops. In the first ten
# it often falls: students then give one answer to everything. With fewer an untrained one might be kept.
PATIENCE = 30


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
    signal = signal_of(splits.train, judged[: len(splits.train)])
    if len(set(signal.labels)) != 2:
        raise InputError(
            f"The overseer {label(plan.overseer)!r} gave no two answers to the training questions of {task!r}.",
            fix="Choose another one in studies.losses.overseer, or give it more labels by overseer_groups.",
        )

    def answers(name: str, models: Sequence[Done[TrainedModel] | None]) -> Margins:
        found = [
            run.step(f"{name} {number} on {task}", answer, model=model, questions=splits.hard, trained=own)
            for number, own in enumerate(models, start=1)
        ]
        return np.array([done.value.margins for done in found])

    material = {loss: material_for(loss, signal, run, model, task) for loss in plan.losses}
    truth = splits.key.of(signal.questions).tolist()
    by_truth = Material(lessons(signal.questions, truth))
    students = {
        loss: answers(loss, train(run, model, plan, f"{loss} on {task}", own)) for loss, own in material.items()
    }
    references = {
        "overseer": np.array([[overseer_margin(own) for own in judged[len(splits.train) :]]]),
        "zero-shot": answers("zero-shot", [None]),
        "ceiling": answers("ceiling", train(run, model, plan, f"ceiling on {task}", by_truth)),
    }
    counts = {loss: len(own.lessons) for loss, own in material.items()}
    label_accuracy = float(np.mean(np.array(signal.labels) == truth))
    return summarize(task, splits, students, references, counts, label_accuracy, plan, seed)


@dataclass(frozen=True)
class Signal:
    """Questions that the overseer had an opinion of, its labels, and how sure it was of each: 0.5 to 1."""

    questions: tuple[Question, ...]
    labels: tuple[bool, ...]
    beliefs: tuple[float, ...]

    def only(self, kept: Sequence[bool]) -> Signal:
        """Those that are `kept`."""
        return Signal(
            tuple(compress(self.questions, kept)),
            tuple(compress(self.labels, kept)),
            tuple(compress(self.beliefs, kept)),
        )


def signal_of(questions: Sequence[Question], judged: Sequence[Judgement | Unscored]) -> Signal:
    """What an overseer's judgements say."""
    opinions = [(q, own.probability) for q, own in zip(questions, judged, strict=True) if isinstance(own, Judgement)]
    return Signal(
        questions=tuple(question for question, _ in opinions),
        labels=tuple(probability > 0.5 for _, probability in opinions),
        beliefs=tuple(max(probability, 1 - probability) for _, probability in opinions),
    )


@dataclass(frozen=True)
class Material:
    """What students of one loss are taught, and how."""

    lessons: tuple[Taught, ...]
    loss: LabelLoss | None = None
    patience: int | None = None


def material_for(loss: LossName, signal: Signal, run: Run, model: ModelIdentity, task: str) -> Material:
    """What becomes of the signal under a loss. Nothing here sees a truth."""
    match loss:
        case "xent":
            return Material(lessons(signal.questions, signal.labels))
        case "early-stop":
            return Material(lessons(signal.questions, signal.labels), patience=PATIENCE)
        case "filtered":
            kept = signal.only(surest(signal))
        case "confident-learning":
            found = run.step(
                f"doubts on {task}", doubts, model=model, questions=signal.questions, labels=signal.labels
            ).value.doubted
            kept = signal.only([not doubt for doubt in found])
        case "consistency":
            own = run.step(f"own labels on {task}", own_labels, model=model, questions=signal.questions).value.labels
            pairs = [(q, said) for q, said in zip(signal.questions, own, strict=True) if said is not None]
            return Material(lessons([question for question, _ in pairs], [said for _, said in pairs]))
        case _:
            return Material(lessons(signal.questions, signal.labels), LabelLoss(name=loss, beliefs=signal.beliefs))
    return Material(lessons(kept.questions, kept.labels))


def surest(signal: Signal, share: float = KEPT) -> list[bool]:
    """Of each answer's labels, the share of which the overseer is surest, so that their balance stays."""
    kept = np.zeros(len(signal.labels), dtype=bool)
    for label_is in (False, True):
        own = np.flatnonzero(np.array(signal.labels) == label_is)
        order = np.argsort(-np.array(signal.beliefs)[own], kind="stable")
        kept[own[order[: math.ceil(share * len(own))]]] = True
    return kept.tolist()


def train(run: Run, model: ModelIdentity, plan: LossesPlan, name: str, material: Material) -> list[Done[TrainedModel]]:
    """A model for each seed, from the same material."""
    seeds = range(plan.seeds)
    training = plan.training
    if material.patience:
        training = training.model_copy(update={"patience": material.patience, "watched": "disagreement"})
    loss = {"label_losses": (material.loss,) * plan.seeds} if material.loss else {}
    return taught(run, name, [material.lessons] * plan.seeds, seeds, model=model, training=training, **loss)


def summarize(
    task: str,
    splits: Splits,
    students: dict[LossName, Margins],
    references: dict[str, Margins],
    counts: dict[LossName, int],
    label_accuracy: float,
    plan: LossesPlan,
    seed: int,
) -> TaskLosses:
    """Everything on the hard questions, in the same resamples."""
    truth, groups = splits.key.of(splits.hard), by_group(splits.hard)
    bootstrap = PairedBootstrap(truth, groups, resamples=plan.bootstrap, seed=seed)
    weak, ceiling = references["overseer"][0], references["ceiling"]

    def result(loss: LossName, own: Margins) -> LossResult:
        return LossResult(
            loss=loss,
            lessons=counts[loss],
            score=bootstrap.score(own),
            pgr=pgr(weak, own, ceiling, bootstrap, "accuracy"),
            pgr_auroc=pgr(weak, own, ceiling, bootstrap, "auroc"),
            over_xent=over(own, students.get("xent"), bootstrap),
            agreement_on_weak_wrong=agreement_on_weak_wrong(weak, own, truth, bootstrap)
            or Unscored(reason="the overseer is never wrong here"),
            calibration_error=calibration_error(own, groups, bootstrap),
        )

    return TaskLosses(
        task=task,
        questions=len(truth),
        label_accuracy=label_accuracy,
        references=tuple(
            Reference(
                name=name, score=bootstrap.score(own), calibration_error=calibration_error(own, groups, bootstrap)
            )
            for name, own in references.items()
        ),
        losses=tuple(result(loss, own) for loss, own in students.items()),
    )


def calibration_error(own: Margins, groups: list[str], bootstrap: PairedBootstrap) -> Interval:
    """Of the probabilities that margins say."""
    said, measure = 1 / (1 + np.exp(-own)), squared_calibration_error(groups)
    return root(percentile_interval(bootstrap.value(measure, said), bootstrap.resampled(measure, said)))


def over(own: Margins, xent: Margins | None, bootstrap: PairedBootstrap) -> Interval | Unscored:
    """How much more accurate students are than those of cross-entropy."""
    if xent is None:
        return Unscored(reason="the plan has no students of cross-entropy")
    return bootstrap.gain(own, xent)
