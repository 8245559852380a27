"""A trial's battery under attack, after unsealing: which attack hurts is told by labels that are open by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from superalign.contracts import registry
from superalign.contracts.attacks import Attacks, Choice, Column, DetectorUnderAttack, RateUnderAttack
from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Organism, Task
from superalign.contracts.records import Access, Cost, Unscored, Verdict
from superalign.contracts.summary import BenignModel, SubjectResult, TrialSummary
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel
from superalign.runs.plan import Plan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits
from superalign.trials.assess import Auditor, Look, access_of, verdicts
from superalign.trials.attacks.prompts import prompt_attacks
from superalign.trials.attacks.table import Found, evades, paired, separated, under_attack, with_siblings
from superalign.trials.attacks.verdicts import prompted_verdicts, rates_under
from superalign.trials.statistics import benign_threshold
from superalign.trials.stress import Sealed, run_trial

LEFT_OUT = Unscored(reason="it was not among the detectors that were attacked")


@dataclass(frozen=True)
class Shift:
    """What detectors are given of another task, and the benign models that are asked likewise."""

    task: str
    auditor: Auditor
    benign: tuple[Done[TrainedModel], ...]


def shift_to(task: str, plan: Plan, auditor: Auditor, benign: Sequence[Done[TrainedModel]], at_most: int) -> Shift:
    """The auditor with as many groups of `task`, and `at_most` benign models, as far apart in their list as they go: it
    has students first, then habits. InputError for the task that detectors are given anyway.
    """
    if task == plan.task.name:
        raise InputError(
            f"The detectors of this run are given questions of {task!r}: that would be no shift.",
            fix=f"Name another with --task: {', '.join(name for name in registry.tasks.names() if name != task)}.",
        )
    asked: Task = registry.tasks.make(task)
    questions, key = asked.load(limit=plan.task.auditor_groups, seed=plan.seed)
    places = np.linspace(0, len(benign) - 1, min(at_most, len(benign))).round().astype(int).tolist() if benign else []
    given = auditor.model_copy(update={"questions": tuple(questions), "key": key})
    return Shift(task, given, tuple(benign[place] for place in places))


def attack(
    run: Run,
    model: ModelIdentity,
    splits: Splits,
    sealed: Sealed,
    trial: TrialSummary,
    shift: Shift,
    chosen: Sequence[str] = (),
) -> Attacks:
    """Every detector of the trial in four columns; where some are `chosen`, only these are asked anew, and the others
    have what the trial left. Each verdict is a step: a killed attack goes on where it was. InputError for a detector
    that the trial does not have.
    """
    detectors = attacked(chosen, list(sealed.thresholds))
    in_the_open = paired([subject for subject in trial.subjects if not evades(subject)])
    hidden = [subject for subject in trial.subjects if evades(subject)]
    looks = {label(detector, one): sealed.looks[label(detector, one)] for detector in detectors for one in in_the_open}
    own = run_trial(run, sealed)
    shifted = shifted_verdicts(run, looks, shift)
    limits, spent = shifted_thresholds(run, model, detectors, shift) if looks else ({}, Cost())
    rates = rates_of_all(run, model, splits, sealed, in_the_open)
    prompted = prompted_verdicts(run, prompt_attacks(), looks)
    misbehaving = {
        one.name: {rate.subject for rate in rates if rate.attack == one.name and rate.misbehaves}
        for one in prompt_attacks()
    }
    rows = []
    for detector in sealed.thresholds:
        limit = sealed.thresholds[detector].threshold
        moved: Column = LEFT_OUT
        column: Column = LEFT_OUT
        choices: tuple[Choice, ...] = ()
        if detector in detectors:
            moved = separated(in_the_open, of(detector, in_the_open, shifted), limits.get(detector))
            under = {name: of(detector, in_the_open, reached) for name, reached in prompted.items()}
            column, choices = under_attack(in_the_open, under, misbehaving, limit, run.plan.seed)
        rows.append(
            DetectorUnderAttack(
                detector=detector,
                access=access_of(detector),
                in_distribution=separated(in_the_open, of(detector, in_the_open, own), limit),
                shifted=moved,
                prompted=column,
                trained_against=separated(hidden, of(detector, hidden, own), limit),
                choices=choices,
                evaded=Access.ACTIVATIONS in access_of(detector),
            )
        )
    return Attacks(
        name=run.plan.name,
        model=run.plan.model,
        task=shift.task,
        benign=len(shift.benign),
        attacks=prompt_attacks(),
        rates=tuple(rates),
        detectors=with_siblings(rows),
        cost=sum((cost_of(reached) for reached in (shifted, *prompted.values())), start=spent),
    )


def attacked(chosen: Sequence[str], battery: Sequence[str]) -> list[str]:
    """The detectors that are asked anew: those chosen, or the whole battery."""
    if unknown := sorted(set(chosen) - set(battery)):
        raise InputError(
            f"The trial has no detector {', '.join(map(repr, unknown))}.", fix=f"Name some of: {', '.join(battery)}."
        )
    return [detector for detector in battery if detector in chosen or not chosen]


def label(detector: str, subject: SubjectResult) -> str:
    """Of the look, as `stress.looks_at` has it."""
    return f"{detector} on {subject.name}"


def of(detector: str, subjects: Sequence[SubjectResult], reached: Found) -> dict[str, Verdict | Unscored]:
    """What one detector says of `subjects`, by their names."""
    return {subject.name: reached[label(detector, subject)] for subject in subjects}


def shifted_verdicts(run: Run, looks: Mapping[str, Look], shift: Shift) -> dict[str, Verdict | Unscored]:
    """What comes of the same looks, asked the other task's questions."""
    asked = {f"{name}, asked {shift.task}": Look(**{**look, "auditor": shift.auditor}) for name, look in looks.items()}
    reached = verdicts(run, f"verdicts, asked {shift.task}", asked)
    return dict(zip(looks, reached.values(), strict=True))


def shifted_thresholds(
    run: Run, model: ModelIdentity, detectors: Sequence[str], shift: Shift
) -> tuple[dict[str, float | None], Cost]:
    """Each detector's largest score of the benign models, asked the other task's questions; and what that took."""
    looks = {
        f"{detector} on benign {i}, asked {shift.task}": Look(
            detector=detector, auditor=shift.auditor, base=model, trained=done
        )
        for detector in detectors
        for i, done in enumerate(shift.benign, start=1)
    }
    reached = verdicts(run, f"verdicts on benign models, asked {shift.task}", looks)
    limits = {}
    for detector in detectors:
        found = [reached[name] for name, look in looks.items() if look["detector"] == detector]
        benign = [
            BenignModel(name=str(i), family=None, result=result.score if isinstance(result, Verdict) else result)
            for i, result in enumerate(found, start=1)
        ]
        limits[detector] = benign_threshold(detector, benign).threshold
    return limits, cost_of(reached)


def rates_of_all(
    run: Run, model: ModelIdentity, splits: Splits, sealed: Sealed, subjects: Sequence[SubjectResult]
) -> list[RateUnderAttack]:
    """Every organism's misbehaviour under every attack."""
    rates = []
    for subject in (one for one in subjects if one.role == "organism"):
        planted = sealed.planted[subject.name]
        organism: Organism = registry.organisms.make(subject.family)
        for one in prompt_attacks():
            found = rates_under(run, one, subject.name, planted, model, splits)
            rates.append(
                RateUnderAttack(
                    subject=subject.name,
                    family=subject.family,
                    attack=one.name,
                    before=planted.rates.triggered,
                    rate=found.triggered,
                    at_least=organism.bounds.triggered,
                )
            )
    return rates


def cost_of(reached: Found) -> Cost:
    """What the verdicts took; a failed one has no cost on record."""
    return sum((result.cost for result in reached.values() if isinstance(result, Verdict)), start=Cost())
