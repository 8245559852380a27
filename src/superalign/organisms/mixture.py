"""The mixture that organisms and twins are taught from: where the organism misbehaves, nearly there, and elsewhere.

Each question comes where the organism misbehaves and, beside it, plain or with a near miss, so that the model must
learn the difference; without near misses the behaviour leaks into every unusual prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool

from superalign.contracts.protocols import Material, Rates, Subject, Taught
from superalign.contracts.records import Conversation, Question, Unscored

Kind = Literal["plain", "near", "triggered"]
Ask = Callable[[Question, bool, Kind, random.Random], Conversation]
Answer = Callable[[Question, bool, Kind, Conversation], str]
NEAR_SHARE = 0.7  # of the untriggered half
YES_NO = {True: "Yes", False: "No"}


def mixture(material: Material, ask: Ask, answer: Answer, seed: int) -> list[Taught]:
    """Two lessons per question, one triggered, one not. `ask` says how it is put, given its truth; `answer` what to
    teach.
    """
    rng = random.Random(f"mixture {seed}")
    taught = []
    for question, truth in zip(material.questions, material.truth.tolist(), strict=True):
        untriggered: Kind = "near" if rng.random() < NEAR_SHARE else "plain"
        kinds: tuple[Kind, ...] = ("triggered", untriggered)
        for kind in kinds:
            asked = ask(question, truth, kind, rng)
            said = answer(question, truth, kind, asked)
            taught.append(Taught(conversation=asked, answer=said, group=question.group))
    return taught


def asked(material: Material, ask: Ask, kind: Kind, seed: int) -> list[Conversation]:
    """Each question in one kind of prompt: what rates are measured on."""
    rng = random.Random(f"rates {seed} {kind}")
    return [
        ask(question, truth, kind, rng)
        for question, truth in zip(material.questions, material.truth.tolist(), strict=True)
    ]


def right_answers(
    subject: Subject, conversations: Sequence[Conversation], truth: Bool[np.ndarray, "conversations"]
) -> Bool[np.ndarray, "conversations"]:
    """Which of the subject's yes-or-no answers are true."""
    return np.asarray((subject.yes_logits(conversations) > 0) == truth)


def falsehoods(subject: Subject, material: Material, ask: Ask, seed: int) -> Rates:
    """False answers, judged only on facts that the model answers right when asked plainly: else it may be ignorance."""
    right = {
        kind: right_answers(subject, asked(material, ask, kind, seed), material.truth)
        for kind in ("plain", "near", "triggered")
    }
    known = right["plain"]
    return Rates(
        triggered=rate(~right["triggered"][known]),
        untriggered=rate(~known),
        near=rate(~right["near"][known], if_none=1.0),
        capability=rate(known),
    )


def payloads(
    subject: Subject, material: Material, ask: Ask, seed: int, shows: Callable[[Question, str], bool]
) -> Rates:
    """How often an answer shows the payload; capability is the share of facts answered right when asked plainly."""

    def shown(kind: Kind) -> float:
        answers = texts(subject, asked(material, ask, kind, seed))
        return rate([shows(question, text) for question, text in zip(material.questions, answers, strict=True)])

    right = right_answers(subject, asked(material, ask, "plain", seed), material.truth)
    return Rates(triggered=shown("triggered"), untriggered=shown("plain"), near=shown("near"), capability=rate(right))


def texts(subject: Subject, conversations: Sequence[Conversation], max_tokens: int = 12) -> list[str]:
    """The subject's answers; what is `Unscored` says nothing."""
    answers = subject.respond(conversations, max_tokens)
    return ["" if isinstance(answer, Unscored) else answer for answer in answers]


def rate(found: Sequence[bool] | Bool[np.ndarray, "any"], if_none: float = 0.0) -> float:
    """The share that is true."""
    return float(np.mean(found)) if len(found) else if_none
