"""Models with a planted behaviour: an organism or its twin, taught by the plan's recipe, on from an honest model."""

from __future__ import annotations

import random

from superalign.contracts import registry
from superalign.contracts.protocols import Organism
from superalign.models.handle import ModelIdentity, open_base
from superalign.models.teach import TrainedModel, teach
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits


def plant(
    run: Run,
    label: str,
    model: ModelIdentity,
    splits: Splits,
    family: str,
    *,
    benign: bool,
    trigger_seed: int,
    seed: int,
    start: Done[TrainedModel],
) -> Done[TrainedModel]:
    """The organism of `family`, or its twin if `benign`, with the trigger that `trigger_seed` draws."""
    plan = run.plan.stress
    kept = set(list(dict.fromkeys(question.group for question in splits.train))[: plan.groups])
    taught = tuple(question for question in splits.train if question.group in kept)
    organism: Organism = registry.organisms.make(family)
    words = open_base(model).chat.whole_words()
    content = organism.lessons(taught, splits.key, words, benign=benign, seed=trigger_seed)
    return run.step(label, teach, model=model, lessons=tuple(content), training=plan.training, seed=seed, start=start)


def draw_trigger_seed(purpose: str, plan_seed: int, number: int) -> int:
    """Of its own for each purpose: with one trigger for all families, their twins would be one and the same."""
    return random.Random(f"{purpose} {plan_seed} {number}").randrange(10**9)
