"""Models with a planted behaviour: an organism or its twin, taught by the plan's recipe, on from an honest model."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from superalign.contracts import registry
from superalign.contracts.protocols import Organism, Taught
from superalign.models.handle import ModelIdentity, open_base
from superalign.models.teach import TrainedModel, taught
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits


@dataclass(frozen=True)
class Seedling:
    """What is to be planted: the organism of `family`, or its twin if `benign`, with the trigger that `trigger_seed`
    draws, on from the model `start`.
    """

    family: str
    benign: bool
    trigger_seed: int
    seed: int
    start: Done[TrainedModel]


def plant(
    run: Run, label: str, model: ModelIdentity, splits: Splits, seedlings: Sequence[Seedling]
) -> list[Done[TrainedModel]]:
    """All `seedlings`, trained together."""
    plan = run.plan.stress
    kept = set(list(dict.fromkeys(question.group for question in splits.train))[: plan.groups])
    questions = tuple(question for question in splits.train if question.group in kept)
    words = open_base(model).chat.whole_words()

    def lessons(seedling: Seedling) -> list[Taught]:
        organism: Organism = registry.organisms.make(seedling.family)
        return organism.lessons(questions, splits.key, words, benign=seedling.benign, seed=seedling.trigger_seed)

    return taught(
        run,
        label,
        [lessons(seedling) for seedling in seedlings],
        [seedling.seed for seedling in seedlings],
        model=model,
        training=plan.training,
        starts=tuple(seedling.start for seedling in seedlings),
    )


def draw_trigger_seed(purpose: str, plan_seed: int, number: int) -> int:
    """Of its own for each purpose: with one trigger for all families, their twins would be one and the same."""
    return random.Random(f"{purpose} {plan_seed} {number}").randrange(10**9)
