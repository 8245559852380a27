"""Players of graded strength: who reads a line of evidence right more often, and who less."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject, Taught, Trusted
from superalign.contracts.records import Unscored
from superalign.models.altered import fine_tuned, with_open_weights
from superalign.oversight.expert import OWN_SEED
from superalign.oversight.judge import (
    EMBEDDED,
    SCRIPTED,
    Judge,
    ScriptedJudge,
    Sitting,
    partly_shown,
    probabilities,
    recipe,
)

ERROR_RATES = (0.45, 0.3, 0.2, 0.1, 0.03)  # of scripted players
WRONG_LABELS = (0.45, 0.3, 0.15, 0.0)  # shares of those that a model is taught by
SEATS = 3  # of a grade


class Grade(NamedTuple):
    """Three players as strong as each other, who err apart: else a debater would know what its judge misreads."""

    judge: Judge
    debater: Judge
    adversary: Judge


@dataclass
class TaughtReader:
    """A model that was taught to judge, as well as its lessons were."""

    model: Subject

    def learn(self, given: Trusted) -> TaughtReader:
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        return probabilities(self.model, [sitting.asked for sitting in sittings])


def check_gradable(who: str) -> None:
    """InputError for whoever has no grades."""
    if who not in (EMBEDDED, SCRIPTED):
        raise InputError(f"There are no grades of {who!r}.", fix="Say embedded or scripted.")


def graded(who: str, given: Trusted) -> dict[str, Grade]:
    """Players of each grade, who have learnt: scripted, or taught from ever fewer wrong labels.

    InputError for anybody else, or where nothing can be taught.
    """
    check_gradable(who)
    if who == SCRIPTED:
        seats = [replace(given, seed=given.seed + OWN_SEED * seat) for seat in range(SEATS)]
        return {f"errs {rate:.0%}": Grade(*(ScriptedJudge(rate).learn(own) for own in seats)) for rate in ERROR_RATES}
    opened = with_open_weights(given.subject)
    if opened is None:
        raise InputError("A model without open weights can't be taught.", fix="Name one that has, or say scripted.")
    shares = [share for share in WRONG_LABELS for _ in range(SEATS)]
    seeds = [given.seed + OWN_SEED * seat + grade for grade, _ in enumerate(WRONG_LABELS) for seat in range(SEATS)]
    lessons = [lessons_with(given, share, seed) for share, seed in zip(shares, seeds, strict=True)]
    taught = iter([TaughtReader(own) for own in fine_tuned(opened, lessons, recipe(opened), seeds)])
    return {f"{share:.0%} wrong labels": Grade(*islice(taught, SEATS)) for share in WRONG_LABELS}


def lessons_with(given: Trusted, wrong: float, seed: int) -> list[Taught]:
    """The lessons of a judge, with the labels of a share of the questions turned round."""
    rng = random.Random(seed)
    turned = {question.id for question in rng.sample(given.questions, round(wrong * len(given.questions)))}
    return [
        Taught(
            conversation=sitting.asked,
            answer="Yes" if given.key.truth[question.id] != (question.id in turned) else "No",
            group=question.group,
        )
        for question in given.questions
        for sitting in partly_shown(question, rng)
    ]
