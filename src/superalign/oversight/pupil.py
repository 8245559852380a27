"""Models that learn from judgements: taught further, by the recipe of judges."""

from __future__ import annotations

from collections.abc import Sequence

from superalign.contracts.protocols import Subject, Taught
from superalign.oversight.judge import Sitting, recipe


def lesson(sitting: Sitting, probability: float) -> Taught:
    """That yes or no, whichever is more probable, is the answer in this sitting."""
    answer = "Yes" if probability > 0.5 else "No"
    return Taught(conversation=sitting.asked, answer=answer, group=sitting.question.group)


def taught_further(model: Subject, lessons: Sequence[Sequence[Taught]], seed: int) -> list[Subject]:
    """A copy of `model` for each of some equally large sets of lessons, taught them on top of what it has learnt.

    The model as it is where it shows no weights.
    """
    from superalign.models.altered import fine_tuned, with_open_weights

    opened = with_open_weights(model)
    if opened is None:
        return [model for _ in lessons]
    return list(fine_tuned(opened, lessons, recipe(opened), [seed for _ in lessons]))
