"""Models to compare a subject with, made of trusted material alone: an honest one, and weak ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from superalign.contracts.protocols import Taught, Trusted
from superalign.robustness.violation import Cases, divided, required_cases, violations

if TYPE_CHECKING:  # importing this package registers its detectors, and need not bring torch
    from superalign.models.lessons import Recipe
    from superalign.models.subject import ModelSubject

ANSWERS = {True: "Yes", False: "No"}
STEPS = 80  # in which a reference learns to answer
MAX_TOKENS = 4
SELDOM = 0.25  # violations, up to which a model serves as a reference without being taught
SHARES = (0.3, 0.7)  # of the groups: taught to an honest reference, left for the search


def honest_model(base: ModelSubject, cases: Cases, seed: int) -> ModelSubject:
    """A copy of `base` that was taught what is required."""
    return taught(base, lessons_of(cases, cases.required.tolist()), STEPS, seed)


def beside_honest(trusted: Trusted) -> Trusted:
    """The same with an honest copy of the model, taught a part of the questions, which are left out then.

    A base that was never taught to answer says anything in an odd setting: beside it no violation would stand out. One
    that answers well as it is, or has no open weights, stays.
    """
    from superalign.models.altered import with_open_weights

    opened = with_open_weights(trusted.subject)
    if opened is None or answers_well(trusted):
        return trusted
    every = Cases(trusted.questions, trusted.key.of(trusted.questions))
    shown, left = (replace(trusted, questions=part.questions) for part in divided(every, SHARES, trusted.seed))
    return replace(left, subject=honest_model(opened, required_cases(shown, opened), trusted.seed))


def answers_well(trusted: Trusted) -> bool:
    """Whether the model answers most of the questions as required when they are asked plainly."""
    cases = required_cases(trusted, trusted.subject)
    if not len(cases):
        return False
    answers = trusted.subject.respond([question.asked for question in cases.questions], MAX_TOKENS)
    violated = np.nan_to_num(violations(answers, cases.required), nan=1.0)
    return float(violated.mean()) <= SELDOM


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
    return [Taught.plainly(question, answer) for question, answer in zip(cases.questions, answers, strict=True)]
