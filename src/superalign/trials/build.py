"""Builds organisms and twins: planted, measured, and held against the bounds that they must keep to count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from superalign.contracts import registry
from superalign.contracts.protocols import AnswerKey, Gate, Material, Organism, Rates
from superalign.contracts.records import Question
from superalign.contracts.summary import GateResult
from superalign.models.evasion import LinearProbe
from superalign.models.handle import ModelIdentity, open_base, open_trained
from superalign.models.teach import TrainedModel
from superalign.organisms.denial import denial_rate
from superalign.organisms.gates import organism_gates, twin_gates
from superalign.runs.code_version import code_version
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits
from superalign.trials.obfuscate import read_by_probe
from superalign.trials.plant import Plant, Seedling, material_from, plant, seedlings_of, start, where_it_misbehaves


@dataclass(frozen=True)
class Planted:
    """A seedling that was trained, the gates it was held against, and the probe that it evades, if any."""

    seedling: Seedling
    trained: Done[TrainedModel]
    rates: Rates
    gates: tuple[Gate, ...]
    probe: LinearProbe | None = None

    @property
    def valid(self) -> bool:
        return all(gate.passed for gate in self.gates)


def build_all(run: Run, model: ModelIdentity, splits: Splits, honest: Done[TrainedModel]) -> list[Planted]:
    """Every organism of the plan and its twin; those that are implanted as `honest` was trained go on from it."""
    planted = []
    for seedlings in seedlings_of(run.plan.stress, run.plan.seed):
        starts = [start(run, model, splits, seedling.implant, honest) for seedling in seedlings]
        plants = plant(run, f"{seedlings[0].family} organisms and twins", model, splits, seedlings, starts)
        rates = [rates_of(run, model, splits, seedling, own) for seedling, own in zip(seedlings, plants, strict=True)]
        for i, own in enumerate(plants):
            if own.before and not seedlings[i].benign:
                reading = readings(run, model, splits, seedlings[i], own, plants[i + 1])
                rates[i] = rates[i].model_copy(update=reading)
        planted += gated(seedlings, plants, rates)
    return planted


def rates_of(run: Run, model: ModelIdentity, splits: Splits, seedling: Seedling, own: Plant) -> Rates:
    """How what the seedling became behaves."""
    return run.step(
        f"rates of {seedling.family} {seedling.role} {seedling.seed + 1}",
        measure_rates,
        model=model,
        trained=own.trained,
        family=seedling.family,
        code=code_version(registry.organisms.factory(seedling.family).__module__),
        questions=splits.easy,
        key=splits.key.only(splits.easy),
        seed=seedling.secret,
        denial=seedling.denies,
    ).value


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


def readings(
    run: Run, model: ModelIdentity, splits: Splits, seedling: Seedling, organism: Plant, twin: Plant
) -> dict[str, float]:
    """How well the probe that an organism evades told it from its twin before, and does now; on what was not taught."""
    assert organism.before
    lessons = where_it_misbehaves(seedling, material_from(model, splits, splits.easy))
    pairs = {
        "read_before": (organism.before.organism, organism.before.twin),
        "read": (organism.trained, twin.trained),
    }
    return {
        name: run.step(
            f"{seedling.family} organism {seedling.seed + 1} read by its probe",
            read_by_probe,
            model=model,
            probe=organism.before.probe,
            organism=bad,
            twin=good,
            conversations=tuple(lesson.conversation for lesson in lessons),
        ).value.auroc
        for name, (bad, good) in pairs.items()
    }


def gated(seedlings: Sequence[Seedling], plants: Sequence[Plant], rates: Sequence[Rates]) -> list[Planted]:
    """Each build against its bounds; an organism also against its twin, which follows it."""
    planted = []
    for i, (seedling, own) in enumerate(zip(seedlings, plants, strict=True)):
        organism: Organism = registry.organisms.make(seedling.family)
        gates = (
            twin_gates(rates[i], organism.bounds)
            if seedling.benign
            else organism_gates(rates[i], rates[i + 1], organism.bounds)
        )
        probe = own.before.probe.value if own.before else None
        planted.append(Planted(seedling, own.trained, rates[i], tuple(gates), probe))
    return planted


def gate_result(gate: Gate) -> GateResult:
    """A gate with its bound in words."""
    bounds = (("at least", gate.at_least), ("at most", gate.at_most))
    bound = " and ".join(f"{word} {value:g}" for word, value in bounds if value is not None)
    return GateResult(name=gate.name, value=gate.value, bound=bound, passed=gate.passed)
