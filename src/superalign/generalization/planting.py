"""Errors planted in labels: of one kind of questions, or as many by chance."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.records import Question
from superalign.contracts.studies.chain import How
from superalign.runs.studies import PlantedPlan


def of_kind(questions: Sequence[Question], kind: str) -> Bool[np.ndarray, "questions"]:
    """Which questions have the regular expression in their text."""
    pattern = re.compile(kind)
    return np.array([bool(pattern.search(question.text)) for question in questions])


def plant(
    margins: Float[np.ndarray, "questions"],
    questions: Sequence[Question],
    planted: PlantedPlan,
    how: How,
    seed: int,
) -> Float[np.ndarray, "questions"]:
    """An overseer's margins with errors planted: no to questions of the kind at the plan's rate; or, of all questions
    drawn by chance, as many turned round as that would change.
    """
    rng = random.Random(f"planted {seed}")
    drawn = np.array([rng.random() < planted.rate for _ in questions])
    denied = np.where(of_kind(questions, planted.kind) & drawn, -np.abs(margins), margins)
    if how == "systematic":
        return denied
    turned = rng.sample(range(len(questions)), int(((denied > 0) != (margins > 0)).sum()))
    signs = np.ones(len(questions))
    signs[turned] = -1
    return margins * signs
