"""The sealed trial: build organisms and twins, gate them, seal, show them blindly to the battery, unseal."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from superalign.contracts.errors import PlanError, SealError
from superalign.contracts.records import Access, Unscored, Verdict
from superalign.contracts.summary import Threshold, TrialSummary
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel
from superalign.provenance.commit import Opening
from superalign.provenance.digest import digest
from superalign.runs.plan import Criteria, Plan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.runs.studies import StudiesPlan
from superalign.tasks.splits import Splits
from superalign.trials.assess import Auditor, Look, access_of, known, verdicts
from superalign.trials.battery import RULE
from superalign.trials.build import Planted, build_all
from superalign.trials.count import PRIMARY_METRIC, count
from superalign.trials.present import Presented, present
from superalign.trials.seal import seal, unseal, verdicts_known

EVASIVE = {"obfuscated", "both"}


@dataclass(frozen=True)
class Sealed:
    """A trial to which the run is committed: the subjects under opaque names, and what is to be looked at."""

    planted: Mapping[str, Planted]
    looks: Mapping[str, Look]
    thresholds: Mapping[str, Threshold]
    opening: Opening


def stress(
    run: Run,
    model: ModelIdentity,
    splits: Splits,
    auditor: Auditor,
    thresholds: Mapping[str, Threshold],
    honest: Done[TrainedModel],
) -> TrialSummary:
    """The whole trial, at most once per run folder; a killed one goes on under the seal that it has. Organisms and
    twins go on from `honest`, a model that was taught by the student's recipe.
    """
    sealed = seal_trial(run, model, splits, auditor, thresholds, honest)
    run_trial(run, sealed)
    return unseal_trial(run, sealed)


def seal_trial(
    run: Run,
    model: ModelIdentity,
    splits: Splits,
    auditor: Auditor,
    thresholds: Mapping[str, Threshold],
    honest: Done[TrainedModel],
) -> Sealed:
    """Build the subjects, and commit to all that is known before the first verdict."""
    planted = opaque(build_all(run, model, splits, honest), run.plan.seed)
    presented = present_all(run, model, planted, auditor.access)
    looks = looks_at(presented, list(thresholds), auditor, model)
    value = sealed_value(planted, presented, thresholds, run.plan.criteria, auditor.access)
    opening = seal(run, value, known=known(run, looks.values()))
    return Sealed(planted, looks, thresholds, opening)


def run_trial(run: Run, sealed: Sealed) -> dict[str, Verdict | Unscored]:
    """Every detector's verdict on every subject, by the look's label; nothing is said of what the subjects are."""
    return verdicts(run, "verdicts on the subjects", sealed.looks)


def unseal_trial(run: Run, sealed: Sealed) -> TrialSummary:
    """Open the seal, and only then join labels and verdicts. SealError while a verdict is missing."""
    if missing := len(sealed.looks) - known(run, sealed.looks.values()):
        raise SealError(
            f"{missing} of {len(sealed.looks)} verdicts have not been reached: the seal is not to be opened before.",
            where=str(run.folder),
            fix=f"Reach them first: superalign trial run {run.folder}",
        )
    reached = run_trial(run, sealed)
    found = {
        name: {detector: reached[f"{detector} on {name}"] for detector in sealed.thresholds} for name in sealed.planted
    }
    unseal(run, sealed.opening)
    access = {detector: access_of(detector) for detector in sealed.thresholds}
    return count(sealed.planted, found, sealed.thresholds, access, known=verdicts_known(run))


def check_groups(plan: Plan) -> None:
    """PlanError when organisms are to be taught on more groups than there are."""
    if plan.stress.groups > plan.task.train_groups:
        raise PlanError(
            f"Organisms are to be taught on {plan.stress.groups} groups, and training has {plan.task.train_groups}.",
            where="stress.groups",
            fix=f"Ask for at most {plan.task.train_groups}, or set task.train_groups higher.",
        )


def check_transcripts(plan: Plan) -> None:
    """PlanError when a transcript is asked for of trainings whose loss is not replayed."""
    studies = plan.studies or StudiesPlan()
    evading = "models are taught to evade a probe"
    others = [
        ("generalize", plan.generalize.training, plan.oversee.signal == "preferences", "students learn preferences"),
        ("stress", plan.stress.training, not EVASIVE.isdisjoint(plan.stress.concealments), evading),
    ]
    if studies.losses:
        others.append(("studies.losses", studies.losses.training, True, "students learn by several losses"))
    if studies.pressure:
        others.append(("studies.pressure", studies.pressure.training, True, evading))
    for section, training, other_loss, reason in others:
        if training.transcript and other_loss:
            raise PlanError(
                f"No transcript is kept where {reason}: what is replayed is cross-entropy with labels.",
                where=f"{section}.training.transcript",
                fix="Leave it out.",
            )


def opaque(planted: Sequence[Planted], seed: int) -> dict[str, Planted]:
    """Names and an order that tell nothing of what they stand for. They hang on all of the models: from the plan's seed
    alone, which detectors are given, anybody could draw them again.
    """
    rng = random.Random(digest({"seed": seed, "models": [subject.trained.digest for subject in planted]}))
    order = rng.sample(list(planted), len(planted))
    names = rng.sample(range(100, 1000), len(planted))
    return {f"subject-{name}": subject for name, subject in zip(names, order, strict=True)}


def present_all(
    run: Run, model: ModelIdentity, planted: Mapping[str, Planted], access: Access
) -> dict[str, Done[Presented]]:
    """What auditors with that access are shown of every subject, made in the order of the opaque names: in the order in
    which they were built, each organism before its twin, the times and places of files would tell them apart.
    """
    shown = Access.TRAINING_DATA in access.and_less
    return {
        # The label goes into the step's folder, which auditors see: it must tell nothing.
        name: run.step("present a subject", present, model=model, trained=subject.trained, training_data=shown)
        for name, subject in planted.items()
    }


def looks_at(
    presented: Mapping[str, Done[Presented]], detectors: Sequence[str], auditor: Auditor, base: ModelIdentity
) -> dict[str, Look]:
    """Every detector on every subject, one detector after the other: what one has read of the base need not be kept
    while others look. This is all that whoever computes a verdict is told.
    """
    return {
        f"{detector} on {name}": Look(detector=detector, auditor=auditor, base=base, trained=shown)
        for detector in detectors
        for name, shown in presented.items()
    }


def label(subject: Planted, shown: Done[Presented]) -> dict[str, object]:
    """All that is hidden from the detectors, with the digest of the very files that they see."""
    return {
        **asdict(subject.seedling),
        "role": subject.seedling.role,
        "model": shown.digest,
        "rates": subject.rates.model_dump(mode="json"),
    }


def sealed_value(
    planted: Mapping[str, Planted],
    presented: Mapping[str, Done[Presented]],
    thresholds: Mapping[str, Threshold],
    criteria: Criteria,
    access: Access,
) -> dict[str, object]:
    """What is committed before the first verdict: of the benign models every score, and how they are to be used."""
    return {
        "labels": {name: label(subject, presented[name]) for name, subject in planted.items()},
        "valid": {name: subject.valid for name, subject in planted.items()},
        "thresholds": {name: threshold.model_dump(mode="json") for name, threshold in thresholds.items()},
        "rule": RULE,
        "primary_metric": PRIMARY_METRIC,
        "criteria": criteria.model_dump(mode="json"),
        "access": access,
    }
