"""Weak-to-strong generalization on one task: train on the overseer's signal, and measure beside everything that could
explain it.

Burns et al. 2023 (arXiv 2312.09390). Student and ceiling see the same questions with the same recipe and seeds; only
what they are told is right differs. Models that learnt from single steps answer a question by their least sure one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.errors import InputError
from superalign.contracts.generalization import GeneralizationSummary, LevelScore
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Interval, Judgement, Question, Unscored
from superalign.contracts.signals import Signal
from superalign.generalization.pgr import PairedBootstrap, pgr
from superalign.models.handle import ModelIdentity
from superalign.models.label_loss import LabelLoss
from superalign.models.teach import TrainedModel, answer, taught
from superalign.runs.plan import GeneralizePlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.metrics import auroc, percentile_interval, point
from superalign.tasks.splits import HARD_LEVEL, Splits, by_group
from superalign.tasks.steps import of_whole, supervised


@dataclass(frozen=True)
class Students:
    """The models that generalization trained; the first student is the one that is validated."""

    students: list[Done[TrainedModel]]
    ceilings: list[Done[TrainedModel]]


def lessons(questions: Sequence[Question], labels: Sequence[bool]) -> tuple[Taught, ...]:
    """Plain yes and no answers, whatever they are worth."""
    return tuple(
        Taught(conversation=question.asked, answer="Yes" if label else "No", group=question.group)
        for question, label in zip(questions, labels, strict=True)
    )


def weak_lessons(signal: Signal) -> tuple[list[Question], tuple[Taught, ...]]:
    """What the overseer's signal teaches, and on which questions: not on those that it gave nothing for.

    InputError for preferences of one answer throughout, which would leave nothing to tell apart.
    """
    pairs = [(q, yes) for q, yes in zip(signal.questions, signal.answers, strict=True) if yes is not None]
    if signal.name == "preferences" and len({yes for _, yes in pairs}) == 1:
        raise InputError(
            "The overseer prefers the same answer to every question: there is nothing to learn from that.",
            fix="Ask for more groups, or name another overseer.",
        )
    questions = [question for question, _ in pairs]
    return questions, lessons(questions, [yes for _, yes in pairs])


def objective(signal: Signal, lessons: Sequence[Sequence[Taught]]) -> dict[str, Any]:
    """How models are taught these lessons: by their answers, or by preferring those to the others."""
    if signal.name != "preferences":
        return {}
    return {"label_losses": tuple(LabelLoss(name="preference", beliefs=(1.0,) * len(own)) for own in lessons)}


def train_students(run: Run, model: ModelIdentity, splits: Splits, signal: Signal) -> Students:
    """Students on the overseer's signal and ceilings on the truth in the same form, a pair for each seed."""
    plan = run.plan.generalize
    questions, by_overseer = weak_lessons(signal)
    by_truth = lessons(questions, supervised(run.plan, splits).key.of(questions).tolist())
    seeds = range(plan.seeds)
    taught_to = [by_overseer for _ in seeds] + [by_truth for _ in seeds]
    models = taught(
        run,
        "students and ceilings",
        taught_to,
        [*seeds, *seeds],
        model=model,
        training=plan.training,
        **objective(signal, taught_to),
    )
    return Students(models[: plan.seeds], models[plan.seeds :])


def generalize(
    run: Run,
    model: ModelIdentity,
    splits: Splits,
    signal: Signal,
    judged_test: Sequence[Judgement | Unscored],
) -> tuple[GeneralizationSummary, Students]:
    """Train, answer the test, compare: the whole measurement. With steps for a signal, all are asked each step of the
    test, and so is the overseer.
    """
    trained = train_students(run, model, splits, signal)
    asked = supervised(run.plan, splits).test

    def on_questions(margins: Float[np.ndarray, "models asked"]) -> Float[np.ndarray, "models questions"]:
        return of_whole(margins, splits.test) if signal.name == "steps" else margins

    def answers(label: str, models: Sequence[Done[TrainedModel] | None]) -> Float[np.ndarray, "seeds questions"]:
        found = [
            run.step(
                f"{label}{f' {i + 1}' if len(models) > 1 else ''} answers",
                answer,
                model=model,
                questions=asked,
                trained=m,
            )
            for i, m in enumerate(models)
        ]
        return on_questions(np.array([done.value.margins for done in found]))

    zero_shot = answers("zero-shot", [None])
    margins = {
        "weak": on_questions(np.array([[overseer_margin(j) for j in judged_test]])),
        "student": answers("student", trained.students),
        "ceiling": answers("ceiling", trained.ceilings),
        "zero_shot": zero_shot,
    }
    controls = {name: answers(name, models) for name, models in train_controls(run, model, splits, signal).items()}
    found = summarize(margins, controls, splits, run.plan.generalize, run.plan.seed)
    return found.model_copy(update={"signal": signal.name}), trained


def train_controls(
    run: Run, model: ModelIdentity, splits: Splits, signal: Signal
) -> dict[str, list[Done[TrainedModel]]]:
    """What a student would learn from a signal that carries nothing of the overseer, or without pretraining."""
    plan, asked = run.plan.generalize, supervised(run.plan, splits)
    questions, truth = asked.train, asked.key.of(asked.train)
    _, by_overseer = weak_lessons(signal)
    said = [(yes, true) for yes, true in zip(signal.answers, truth, strict=True) if yes is not None]
    error_rate = float(np.mean([yes != true for yes, true in said]))
    # Half of the questions are right; of steps most, of which the model is to approve as many as its overseer.
    rejected = 1 - float(np.mean([yes for yes, _ in said])) if signal.name == "steps" else 0.5
    own = run.step("own answers", answer, model=model, questions=questions).value.margins
    by_itself = lessons(questions, [margin > float(np.quantile(own, rejected)) for margin in own])
    seeds = range(plan.control_seeds)
    shared = {"model": model, "training": plan.training}
    freely = [*(lessons(questions, flip(truth, error_rate, seed)) for seed in seeds), *(by_itself for _ in seeds)]
    models = taught(run, "noise and self-distillation", freely, [*seeds, *seeds], **shared, **objective(signal, freely))
    shared |= objective(signal, [by_overseer])
    return {
        "noise": models[: plan.control_seeds],
        "self-distillation": models[plan.control_seeds :],
        "random start": [
            taught(run, f"random start {seed + 1}", [by_overseer], [seed], random_body=True, **shared)[0]
            for seed in seeds
        ],
    }


def flip(truth: Bool[np.ndarray, "questions"], rate: float, seed: int) -> list[bool]:
    """Truth with independent errors at `rate`."""
    rng = random.Random(seed)
    return [bool(value) != (rng.random() < rate) for value in truth]


def overseer_margin(judged: Judgement | Unscored) -> float:
    """Log odds of yes; 0, half right, where the overseer had no opinion."""
    if isinstance(judged, Unscored):
        return 0.0
    p = min(max(judged.probability, 1e-6), 1 - 1e-6)
    return float(np.log(p / (1 - p)))


def summarize(
    margins: dict[str, Float[np.ndarray, "seeds questions"]],
    controls: dict[str, Float[np.ndarray, "seeds questions"]],
    splits: Splits,
    plan: GeneralizePlan,
    seed: int,
) -> GeneralizationSummary:
    """Everything on the hard questions; the curve over all levels."""
    truth = splits.key.of(splits.test)
    levels = np.array([question.level for question in splits.test])
    hard = levels >= HARD_LEVEL
    on_hard = {name: found[:, hard] for name, found in margins.items()}
    groups = by_group(splits.hard)
    bootstrap = PairedBootstrap(truth[hard], groups, resamples=plan.bootstrap, seed=seed)
    always_yes = np.ones((1, int(hard.sum())))
    gap = {
        name: pgr(on_hard["weak"][0], on_hard["student"], on_hard["ceiling"], bootstrap, name)
        for name in ("accuracy", "auroc")
    }
    return GeneralizationSummary(
        **{name: bootstrap.score(found) for name, found in on_hard.items()},
        controls={name: bootstrap.score(found[:, hard]) for name, found in controls.items()}
        | {"majority class": bootstrap.score(always_yes)},
        pgr=gap["accuracy"],
        pgr_auroc=gap["auroc"],
        agreement_on_weak_wrong=agreement_on_weak_wrong(on_hard["weak"][0], on_hard["student"], truth[hard], bootstrap),
        levels=tuple(
            LevelScore(
                level=int(level),
                label=splits.level_names[level],
                **{
                    name: float(np.mean([point(auroc, m[levels == level], truth[levels == level]) for m in found]))
                    for name, found in margins.items()
                },
            )
            for level in np.unique(levels)
        ),
        seeds=plan.seeds,
        test_questions=int(hard.sum()),
    )


def agreement_on_weak_wrong(
    weak: Float[np.ndarray, "questions"],
    student: Float[np.ndarray, "seeds questions"],
    truth: Bool[np.ndarray, "questions"],
    bootstrap: PairedBootstrap,
) -> Interval | None:
    """How often the student repeats the overseer where the overseer is wrong; None where it never is."""
    wrong = (weak > 0) != truth
    if not wrong.any():
        return None

    def repeats(margin: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
        same = ((margin > 0) != truth) & wrong
        with np.errstate(invalid="ignore"):
            return np.asarray(weights @ same / (weights @ wrong))

    return percentile_interval(bootstrap.value(repeats, student), bootstrap.resampled(repeats, student))
