"""Models to compare a subject with, made of trusted material alone: an honest one, and weak ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from superalign.contracts.protocols import Taught
from superalign.robustness.violation import Cases

if TYPE_CHECKING:  # importing this package registers its detectors, and need not bring torch
    from superalign.models.lessons import Recipe
    from superalign.models.subject import ModelSubject

ANSWERS = {True: "Yes", False: "No"}
STEPS = 80  # in which a reference learns to answer


def honest_model(base: ModelSubject, cases: Cases, seed: int) -> ModelSubject:
    """A copy of `base` that was taught what is required."""
    return taught(base, lessons_of(cases, cases.required.tolist()), STEPS, seed)


def weak_models(base: ModelSubject, cases: Cases, count: int, seed: int) -> list[ModelSubject]:
    """Copies of `base` that were taught to answer yes or no as coins fall: they know how to answer, and no more."""
    from superalign.models.altered import fine_tuned

    if not count:
        return []
    seeds = [seed + number for number in range(count)]
    coins = [random.Random(f"coin {own}") for own in seeds]
    lessons = [lessons_of(cases, [coin.random() < 0.5 for _ in range(len(cases))]) for coin in coins]
    return fine_tuned(base, lessons, recipe(base, STEPS), seeds)


def taught(subject: ModelSubject, lessons: Sequence[Taught], steps: int, seed: int) -> ModelSubject:
    """A copy of `subject` after so many steps on `lessons`."""
    from superalign.models.altered import fine_tuned

    [found] = fine_tuned(subject, [lessons], recipe(subject, steps), [seed])
    return found


def recipe(subject: ModelSubject, steps: int) -> Recipe:
    """Adapters on the upper two fifths of its layers."""
    from superalign.models.lessons import Recipe

    first = min(subject.layers - 1, round(0.6 * subject.layers))
    return Recipe(first_layer=first, rank=16, steps=steps, batch=16, learning_rate=3e-3)


def lessons_of(cases: Cases, answers: Sequence[bool]) -> list[Taught]:
    """The questions with `answers` to be given to them."""
    return [
        Taught(conversation=question.asked, answer=ANSWERS[answer], group=question.group)
        for question, answer in zip(cases.questions, answers, strict=True)
    ]
