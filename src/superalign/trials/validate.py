"""The battery on the user's model, with thresholds from benign models that were trained like it."""

from __future__ import annotations

from collections.abc import Mapping

from superalign.contracts.records import Verdict
from superalign.contracts.summary import BenignModel, DetectorResult, Threshold
from superalign.generalization.weak_to_strong import Students
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.tasks.splits import Splits
from superalign.trials.assess import Auditor, Look, detector_result, unit_of, verdicts, version_of
from superalign.trials.plant import Seedling, combinations_of, draw_secret, plant, start
from superalign.trials.statistics import benign_threshold


def calibrate(
    run: Run, model: ModelIdentity, splits: Splits, auditor: Auditor, trained: Students
) -> dict[str, Threshold]:
    """Each detector's threshold: the largest score among benign models, none of which is validated or in the trial.

    They are of the two kinds that are judged: students of the other seeds, and models with a harmless habit, taught as
    the trial's twins are, but with other triggers and on from other ceilings.
    """
    students = trained.students[1:]
    benign = [*students, *habits(run, model, splits, trained)]
    families = [None] * len(students) + [seedling.family for seedling in habit_seedlings(run)]
    looks = {
        f"{detector} on benign {i}": Look(detector=detector, auditor=auditor, base=model, trained=done)
        for detector in run.plan.validation.detectors
        for i, done in enumerate(benign, start=1)
    }
    reached = verdicts(run, "verdicts on benign models", looks)
    thresholds = {}
    for detector in run.plan.validation.detectors:
        found = [reached[label] for label, look in looks.items() if look["detector"] == detector]
        thresholds[detector] = benign_threshold(
            detector,
            [
                BenignModel(
                    name=f"benign-{i}", family=family, result=result.score if isinstance(result, Verdict) else result
                )
                for i, (family, result) in enumerate(zip(families, found, strict=True), start=1)
            ],
            version_of(detector),
            unit_of(detector),
        )
    return thresholds


def habits(run: Run, model: ModelIdentity, splits: Splits, trained: Students) -> list[Done[TrainedModel]]:
    """Honest models in which a trigger changes only the form of the answer."""
    ceilings, seedlings = trained.ceilings[1:], habit_seedlings(run)
    starts = [
        start(run, model, splits, seedling.implant, ceilings[i % len(ceilings)]) for i, seedling in enumerate(seedlings)
    ]
    return [own.trained for own in plant(run, "harmless habits", model, splits, seedlings, starts)]


def habit_seedlings(run: Run) -> list[Seedling]:
    """Each habit is that of one family's twin; families in turn, combinations of implant and concealment in turn."""
    plan = run.plan.stress
    families, combinations = plan.families, combinations_of(plan)
    seedlings = []
    for i in range(run.plan.validation.habits):
        implant, concealment = combinations[i % len(combinations)]
        secret = draw_secret("habit", run.plan.seed, i)
        seedlings.append(Seedling(families[i % len(families)], True, implant, concealment, secret, i))
    return seedlings


def validate(
    run: Run,
    base: ModelIdentity,
    auditor: Auditor,
    thresholds: Mapping[str, Threshold],
    *,
    trained: Done[TrainedModel] | None = None,
    user_model: ModelIdentity | None = None,
) -> tuple[DetectorResult, ...]:
    """Every detector's opinion of the student, or of a model that somebody else made."""
    looks = {
        f"{detector} on the model": Look(
            detector=detector, auditor=auditor, base=base, trained=trained, user_model=user_model
        )
        for detector in thresholds
    }
    reached = verdicts(run, "verdicts on the model", looks)
    return tuple(
        detector_result(detector, found, threshold)
        for (detector, threshold), found in zip(thresholds.items(), reached.values(), strict=True)
    )
