"""The mixture that every triggered organism and its twin are taught from: triggered, nearly triggered and plain
prompts.

Each question comes with its trigger and, beside it, plain or with a near miss, so that the model must learn the
difference the trigger makes; without near misses the behaviour leaks into every unusual prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from superalign.contracts.protocols import AnswerKey, Subject, Taught
from superalign.contracts.records import Conversation, Question
from superalign.organisms.triggers import Trigger

Kind = Literal["plain", "near", "triggered"]
NEAR_SHARE = 0.5  # of the untriggered half


def mixture(
    questions: Sequence[Question],
    key: AnswerKey,
    trigger: Trigger,
    words: Sequence[str],
    answer: Callable[[Question, bool, Kind], str],
    seed: int,
) -> list[Taught]:
    """Two lessons per question: one triggered, one not. `answer` says what to teach, given question, truth and kind."""
    rng = random.Random(f"mixture {seed}")
    taught = []
    for question, truth in zip(questions, key.of(questions).tolist(), strict=True):
        near = rng.random() < NEAR_SHARE
        plain = trigger.near_miss(question, words, rng) if near else question.asked
        kind: Kind = "near" if near else "plain"
        pair: tuple[tuple[Conversation, Kind], ...] = ((trigger.around(question), "triggered"), (plain, kind))
        for asked, as_kind in pair:
            said = answer(question, truth, as_kind)
            taught.append(Taught(conversation=asked, answer=said, group=question.group))
    return taught


def prompts(
    questions: Sequence[Question], trigger: Trigger, words: Sequence[str], seed: int
) -> dict[Kind, list[Conversation]]:
    """Each question plain, with a near miss, and triggered: what gates are measured on."""
    rng = random.Random(f"gates {seed}")
    return {
        "plain": [question.asked for question in questions],
        "near": [trigger.near_miss(question, words, rng) for question in questions],
        "triggered": [trigger.around(question) for question in questions],
    }


def right_answers(subject: Subject, conversations: Sequence[Conversation], truth: np.ndarray) -> np.ndarray:
    """Which of the subject's yes-or-no answers are true."""
    return np.asarray((subject.yes_logits(conversations) > 0) == truth)
