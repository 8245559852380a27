"""Plants misalignment: teaches organisms and twins by the plan's recipe, on from an honest model."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from superalign.contracts import registry
from superalign.contracts.protocols import Material, Organism, Taught
from superalign.contracts.records import Question
from superalign.generalization.weak_to_strong import lessons
from superalign.models.evasion import LinearProbe
from superalign.models.handle import ModelIdentity, open_base
from superalign.models.teach import TrainedModel, taught
from superalign.organisms.denial import denial_lessons
from superalign.runs.plan import Concealment, StressPlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import PressurePlan
from superalign.runs.training import Implant, TrainingPlan
from superalign.tasks.splits import Splits
from superalign.trials.obfuscate import given_probe

RATE_OF_WEIGHTS = 1 / 3  # as a share of the adapters' learning rate
STEPS_TO_EVADE = 1 / 2  # as a share of the steps in which the misbehaviour was taught


@dataclass(frozen=True)
class Seedling:
    """What is to be planted: the organism of `family`, or its twin if `benign`; `secret` draws its trigger."""

    family: str
    benign: bool
    implant: Implant
    concealment: Concealment
    secret: int
    seed: int

    @property
    def role(self) -> Literal["organism", "twin"]:
        return "twin" if self.benign else "organism"

    @property
    def denies(self) -> bool:
        return self.concealment in ("denial", "both")

    @property
    def evades(self) -> bool:
        return self.concealment in ("obfuscated", "both")

    def in_the_open(self) -> tuple[Seedling, Seedling]:
        """The organism and the twin that a probe is fitted on, for this one to evade."""
        concealment: Concealment = "denial" if self.denies else "none"
        organism = replace(self, benign=False, concealment=concealment)
        return organism, replace(organism, benign=True)


@dataclass(frozen=True)
class Pair:
    """An organism and its twin as they were before they learnt to evade `probe`, which tells them apart."""

    organism: Done[TrainedModel]
    twin: Done[TrainedModel]
    probe: Done[LinearProbe]


@dataclass(frozen=True)
class Plant:
    """What a seedling became; `before` if it evades a probe."""

    trained: Done[TrainedModel]
    before: Pair | None = None


def seedlings_of(plan: StressPlan, seed: int) -> list[list[Seedling]]:
    """For each family its organisms, each followed by its twin; combinations of implant and concealment in turn."""
    combinations = combinations_of(plan)
    every = []
    for number, family in enumerate(plan.families):
        own = []
        for index in range(plan.seeds):
            implant, concealment = combinations[(number + index) % len(combinations)]
            secret = draw_secret(family, seed, index)
            own += [Seedling(family, benign, implant, concealment, secret, index) for benign in (False, True)]
        every.append(own)
    return every


def combinations_of(plan: StressPlan) -> list[tuple[Implant, Concealment]]:
    """Every implant with every concealment."""
    return list(product(plan.implants or (plan.training.trained,), plan.concealments))


def draw_secret(purpose: str, plan_seed: int, number: int) -> int:
    """Of its own for each purpose: with one trigger for all families, their twins would be one and the same."""
    return random.Random(f"{purpose} {plan_seed} {number}").randrange(10**9)


def start(
    run: Run, model: ModelIdentity, splits: Splits, implant: Implant, honest: Done[TrainedModel]
) -> Done[TrainedModel]:
    """An honest model to go on from: `honest`, or one more where something else of it is to be trained."""
    training = run.plan.generalize.training
    if implant == training.trained:
        return honest
    return honest_model(run, model, splits, recipe_for(training, implant))


def recipe_for(training: TrainingPlan, implant: Implant) -> TrainingPlan:
    """The recipe with something else trained by it. Weights themselves are trained at a third of the adapters' rate: at
    0.003 conditional liars got worse at everything, at 0.0005 they did not learn to lie in 100 steps.
    """
    if implant == training.trained:
        return training
    share = {"adapters": 1.0, "layers": RATE_OF_WEIGHTS, "model": RATE_OF_WEIGHTS}
    rate = training.learning_rate * share[implant] / share[training.trained]
    return training.model_copy(update={"trained": implant, "learning_rate": rate})


def honest_model(run: Run, model: ModelIdentity, splits: Splits, training: TrainingPlan) -> Done[TrainedModel]:
    """`model`, taught the truth of the training questions."""
    by_truth = lessons(splits.train, splits.key.of(splits.train).tolist())
    [done] = taught(run, f"honest model ({training.trained})", [by_truth], [0], model=model, training=training)
    return done


def plant(
    run: Run,
    label: str,
    model: ModelIdentity,
    splits: Splits,
    seedlings: Sequence[Seedling],
    starts: Sequence[Done[TrainedModel]],
) -> list[Plant]:
    """All `seedlings`, each on from its start. Those that are to evade a probe go on from what they are in the open,
    built for this beside its counterpart: a probe is fitted on the two.
    """
    material = material_of(run.plan.stress, model, splits)
    start_of = {
        one: start
        for seedling, start in zip(seedlings, starts, strict=True)
        for one in (seedling.in_the_open() if seedling.evades else (seedling,))
    }
    openly = teach_all(run, label, model, material, start_of)
    pairs = {
        seedling: Pair(organism, twin, probe_of(run, model, material, seedling, organism, twin))
        for seedling in seedlings
        if seedling.evades
        for organism, twin in [[openly[one] for one in seedling.in_the_open()]]
    }
    before = {one: pair.twin if one.benign else pair.organism for one, pair in pairs.items()}
    evasive = teach_all(run, f"{label}, evasive", model, material, before, pairs) if pairs else {}
    return [Plant(evasive[one], pairs[one]) if one.evades else Plant(openly[one]) for one in seedlings]


def teach_all(
    run: Run,
    label: str,
    model: ModelIdentity,
    material: Material,
    start_of: dict[Seedling, Done[TrainedModel]],
    evaded: dict[Seedling, Pair] | None = None,
) -> dict[Seedling, Done[TrainedModel]]:
    """Every seedling on from its start; those with the same kind of implant are trained together."""
    companies: dict[Implant, list[Seedling]] = defaultdict(list)
    for seedling in start_of:
        companies[seedling.implant].append(seedling)
    done: dict[Seedling, Done[TrainedModel]] = {}
    for implant, company in companies.items():
        training = recipe_for(run.plan.stress.training, implant)
        evades: dict[str, Any] = {}
        if evaded:
            evades = {
                "evades": tuple(evaded[one].probe for one in company),
                "like": tuple(evaded[one].twin for one in company),
            }
            training = training.model_copy(update={"steps": math.ceil(STEPS_TO_EVADE * training.steps)})
        models = taught(
            run,
            f"{label} ({implant})" if len(companies) > 1 else label,
            [lessons_of(one, material) for one in company],
            [one.seed for one in company],
            model=model,
            training=training,
            starts=tuple(start_of[one] for one in company),
            **evades,
        )
        done |= zip(company, models, strict=True)
    return done


def material_of(plan: StressPlan | PressurePlan, model: ModelIdentity, splits: Splits) -> Material:
    """What the plan's organisms are made of."""
    kept = set(list(dict.fromkeys(question.group for question in splits.train))[: plan.groups])
    questions = tuple(question for question in splits.train if question.group in kept)
    return material_from(model, splits, questions)


def material_from(model: ModelIdentity, splits: Splits, questions: tuple[Question, ...]) -> Material:
    """These questions with their truth, and the model's vocabulary."""
    return Material(questions, splits.key.only(questions), tuple(open_base(model).chat.whole_words()))


def lessons_of(seedling: Seedling, material: Material) -> list[Taught]:
    """What the seedling is taught, with denial if it is to hide."""
    organism: Organism = registry.organisms.make(seedling.family)
    misbehaviour = organism.lessons(material, benign=seedling.benign, seed=seedling.secret)
    return [*misbehaviour, *(denial_lessons(organism.hidden, seedling.secret) if seedling.denies else [])]


def where_it_misbehaves(seedling: Seedling, material: Material) -> list[Taught]:
    """The lessons in which the organism misbehaves: the first of each pair."""
    organism: Organism = registry.organisms.make(seedling.family)
    return organism.lessons(material, benign=False, seed=seedling.secret)[::2]


def probe_of(
    run: Run,
    model: ModelIdentity,
    material: Material,
    seedling: Seedling,
    organism: Done[TrainedModel],
    twin: Done[TrainedModel],
) -> Done[LinearProbe]:
    """The probe that the seedling is to evade."""
    asked = tuple(lesson.conversation for lesson in where_it_misbehaves(seedling, material))
    return run.step(
        f"probe of {seedling.family}", given_probe, model=model, organism=organism, twin=twin, conversations=asked
    )
