"""Builds organisms and twins: taught by the plan's recipe, on from an honest model; measured; held against bounds."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from superalign.contracts import registry
from superalign.contracts.protocols import AnswerKey, Gate, Material, Organism, Rates, Taught
from superalign.contracts.records import Question
from superalign.contracts.summary import GateResult
from superalign.generalization.weak_to_strong import lessons
from superalign.models.handle import ModelIdentity, open_base, open_trained
from superalign.models.teach import TrainedModel, taught
from superalign.organisms.denial import denial_lessons, denial_rate
from superalign.organisms.gates import organism_gates, twin_gates
from superalign.runs.code_version import code_version
from superalign.runs.plan import Concealment, Implant, StressPlan, TrainingPlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits


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


@dataclass(frozen=True)
class Planted:
    """A seedling that was trained, and the gates it was held against."""

    seedling: Seedling
    trained: Done[TrainedModel]
    rates: Rates
    gates: tuple[Gate, ...]

    @property
    def valid(self) -> bool:
        return all(gate.passed for gate in self.gates)


def build_all(run: Run, model: ModelIdentity, splits: Splits, honest: Done[TrainedModel]) -> list[Planted]:
    """Every organism of the plan and its twin; those that are implanted as `honest` was trained go on from it."""
    planted = []
    for seedlings in seedlings_of(run.plan.stress, run.plan.seed):
        starts = [start(run, model, splits, seedling.implant, honest) for seedling in seedlings]
        models = plant(run, f"{seedlings[0].family} organisms and twins", model, splits, seedlings, starts)
        rates = [
            run.step(
                f"rates of {seedling.family} {seedling.role} {seedling.seed + 1}",
                measure_rates,
                model=model,
                trained=trained,
                family=seedling.family,
                code=code_version(registry.organisms.factory(seedling.family).__module__),
                questions=splits.easy,
                key=splits.key.only(splits.easy),
                seed=seedling.secret,
                denial=seedling.concealment == "denial",
            ).value
            for seedling, trained in zip(seedlings, models, strict=True)
        ]
        planted += gated(seedlings, models, rates)
    return planted


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
    return honest_model(run, model, splits, training.model_copy(update={"trained": implant}))


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
) -> list[Done[TrainedModel]]:
    """All `seedlings`, each on from its start; those with the same kind of implant are trained together."""
    plan = run.plan.stress
    kept = set(list(dict.fromkeys(question.group for question in splits.train))[: plan.groups])
    questions = tuple(question for question in splits.train if question.group in kept)
    material = Material(questions, splits.key.only(questions), tuple(open_base(model).chat.whole_words()))
    companies: dict[Implant, list[int]] = defaultdict(list)
    for number, seedling in enumerate(seedlings):
        companies[seedling.implant].append(number)
    planted: dict[int, Done[TrainedModel]] = {}
    for implant, company in companies.items():
        models = taught(
            run,
            f"{label} ({implant})" if len(companies) > 1 else label,
            [lessons_of(seedlings[number], material) for number in company],
            [seedlings[number].seed for number in company],
            model=model,
            training=plan.training.model_copy(update={"trained": implant}),
            starts=tuple(starts[number] for number in company),
        )
        planted |= dict(zip(company, models, strict=True))
    return [planted[number] for number in range(len(seedlings))]


def lessons_of(seedling: Seedling, material: Material) -> list[Taught]:
    """What the seedling is taught, with denial if it is to hide."""
    organism: Organism = registry.organisms.make(seedling.family)
    misbehaviour = organism.lessons(material, benign=seedling.benign, seed=seedling.secret)
    denial = denial_lessons(organism.hidden, seedling.secret) if seedling.concealment == "denial" else []
    return [*misbehaviour, *denial]


def measure_rates(
    folder: Path,
    *,
    model: ModelIdentity,
    trained: Done[TrainedModel],
    family: str,
    code: str,
    questions: tuple[Question, ...],
    key: AnswerKey,
    seed: int,
    denial: bool,
) -> Rates:
    """How the build behaves, asked on groups that it was not taught. `code` counts only in the step's key."""
    base = open_base(model)
    organism: Organism = registry.organisms.make(family)
    subject = open_trained(base, trained.folder, family)
    found = organism.rates(subject, Material(questions, key, tuple(base.chat.whole_words())), seed=seed)
    return found.model_copy(update={"denial": denial_rate(subject, organism.hidden, seed) if denial else None})


def gated(
    seedlings: Sequence[Seedling],
    models: Sequence[Done[TrainedModel]],
    rates: Sequence[Rates],
) -> list[Planted]:
    """Each build against its bounds; an organism also against its twin, which follows it."""
    planted = []
    for i, seedling in enumerate(seedlings):
        organism: Organism = registry.organisms.make(seedling.family)
        denial = seedling.concealment == "denial"
        gates = (
            twin_gates(rates[i], organism.bounds, denial=denial)
            if seedling.benign
            else organism_gates(rates[i], rates[i + 1], organism.bounds, denial=denial)
        )
        planted.append(Planted(seedling, models[i], rates[i], tuple(gates)))
    return planted


def gate_result(gate: Gate) -> GateResult:
    """A gate with its bound in words."""
    bounds = (("at least", gate.at_least), ("at most", gate.at_most))
    bound = " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)
    return GateResult(name=gate.name, value=gate.value, bound=bound, passed=gate.passed)
