"""Weak-to-strong generalization on one task: train on the overseer's labels, and measure beside everything that could
explain it.

Burns et al. 2023 (arXiv 2312.09390). Student and ceiling see the same questions with the same recipe and seeds; only
labels differ.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.generalization import GeneralizationSummary, LevelScore
from superalign.contracts.protocols import Taught
from superalign.contracts.records import Interval, Judgement, Question, Unscored
from superalign.generalization.pgr import PairedBootstrap, pgr
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel, answer, taught
from superalign.runs.plan import GeneralizePlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.metrics import auroc, percentile_interval, point
from superalign.tasks.splits import HARD_LEVEL, Splits, by_group


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


def weak_labels(judged: Sequence[Judgement | Unscored]) -> list[bool | None]:
    """The overseer's opinion, or None where it had none."""
    return [None if isinstance(j, Unscored) else j.probability > 0.5 for j in judged]


def train_students(run: Run, model: ModelIdentity, splits: Splits, judged: Sequence[Judgement | Unscored]) -> Students:
    """Students on the overseer's labels and ceilings on the truth, a pair for each seed."""
    plan = run.plan.generalize
    pairs = [(q, label) for q, label in zip(splits.train, weak_labels(judged), strict=True) if label is not None]
    questions = [question for question, _ in pairs]
    by_overseer = lessons(questions, [label for _, label in pairs])
    by_truth = lessons(questions, splits.key.of(questions).tolist())
    seeds = range(plan.seeds)
    models = taught(
        run,
        "students and ceilings",
        [by_overseer for _ in seeds] + [by_truth for _ in seeds],
        [*seeds, *seeds],
        model=model,
        training=plan.training,
    )
    return Students(models[: plan.seeds], models[plan.seeds :])


def generalize(
    run: Run,
    model: ModelIdentity,
    splits: Splits,
    judged: Sequence[Judgement | Unscored],
    judged_test: Sequence[Judgement | Unscored],
) -> tuple[GeneralizationSummary, Students]:
    """Train, answer the test, compare: the whole measurement."""
    trained = train_students(run, model, splits, judged)
    test = splits.test

    def answers(label: str, models: Sequence[Done[TrainedModel] | None]) -> Float[np.ndarray, "seeds questions"]:
        found = [
            run.step(
                f"{label}{f' {i + 1}' if len(models) > 1 else ''} answers",
                answer,
                model=model,
                questions=test,
                trained=m,
            )
            for i, m in enumerate(models)
        ]
        return np.array([done.value.margins for done in found])

    zero_shot = answers("zero-shot", [None])
    margins = {
        "weak": np.array([[overseer_margin(j) for j in judged_test]]),
        "student": answers("student", trained.students),
        "ceiling": answers("ceiling", trained.ceilings),
        "zero_shot": zero_shot,
    }
    controls = {name: answers(name, models) for name, models in train_controls(run, model, splits, judged).items()}
    return summarize(margins, controls, splits, run.plan.generalize, run.plan.seed), trained


def train_controls(
    run: Run, model: ModelIdentity, splits: Splits, judged: Sequence[Judgement | Unscored]
) -> dict[str, list[Done[TrainedModel]]]:
    """What a student would learn from labels that carry nothing of the overseer, or without pretraining."""
    plan = run.plan.generalize
    questions = splits.train
    truth = splits.key.of(questions)
    labels = weak_labels(judged)
    known = [i for i, label in enumerate(labels) if label is not None]
    error_rate = float(np.mean([labels[i] != truth[i] for i in known]))
    own = run.step("own answers", answer, model=model, questions=questions).value.margins
    by_overseer = lessons([questions[i] for i in known], [bool(labels[i]) for i in known])
    by_itself = lessons(questions, [margin > float(np.median(own)) for margin in own])
    seeds = range(plan.control_seeds)
    shared = {"model": model, "training": plan.training}
    noisy = [lessons(questions, flip(truth, error_rate, seed)) for seed in seeds]
    models = taught(
        run, "noise and self-distillation", [*noisy, *(by_itself for _ in seeds)], [*seeds, *seeds], **shared
    )
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
