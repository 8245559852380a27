"""A signal without an overseer: what a model says of a question, where it says the opposite of its negation.

After the consistency of Burns et al. 2022 (arXiv 2212.03827), asked of answers, not of activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from superalign.contracts.records import Conversation, Question, Record
from superalign.models.handle import ModelIdentity, open_base


class OwnLabels(Record):
    """The model's label of each question; none where it contradicts itself."""

    labels: tuple[bool | None, ...]


def own_labels(folder: Path, *, model: ModelIdentity, questions: tuple[Question, ...]) -> OwnLabels:
    """Those of the untrained model."""
    base = open_base(model)
    plain = base.yes_logits([question.asked for question in questions])
    negated = base.yes_logits([negation(question.asked) for question in questions])
    return OwnLabels(labels=tuple(consistent(plain, negated)))


def negation(asked: Conversation) -> Conversation:
    """The conversation, asking whether no is the right answer to its last question."""
    *before, last = asked
    content = f'Is "No" the right answer to this question? {last.content}'
    return (*before, last.model_copy(update={"content": content}))


def consistent(plain: Sequence[float] | np.ndarray, negated: Sequence[float] | np.ndarray) -> list[bool | None]:
    """A label for each question from the margins of both wordings. Margins count from their median: an untrained model
    leans to one answer whatever it is asked.
    """

    def leaning(margins: Sequence[float] | np.ndarray) -> Float[np.ndarray, "questions"]:
        return np.asarray(margins) - np.median(margins)

    straight, turned = leaning(plain), -leaning(negated)
    return [bool(a > 0) if a * b > 0 else None for a, b in zip(straight, turned, strict=True)]
