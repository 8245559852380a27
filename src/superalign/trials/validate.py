"""The battery on the user's model, with thresholds from benign models that were trained like it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from superalign.contracts.errors import PlanError
from superalign.contracts.records import Verdict
from superalign.contracts.summary import DetectorResult, LayerCurve, Threshold
from superalign.generalization.weak_to_strong import Students
from superalign.interpretability.layer_curve import layer_curve
from superalign.models.handle import ModelIdentity
from superalign.models.teach import TrainedModel
from superalign.runs.plan import Plan, ValidatePlan
from superalign.runs.run import Run
from superalign.runs.store import Done
from superalign.trials.assess import Auditor, assess, detector_result, opened, version_of
from superalign.trials.statistics import benign_threshold


def check_benign(plan: Plan) -> None:
    """PlanError, before anything is trained, when the plan trains fewer benign models than `calibrate` needs."""
    wanted, trained = plan.validation.benign, 2 * (plan.generalize.seeds - 1)
    if wanted > trained:
        raise PlanError(
            f"{wanted} benign models are asked for, and {trained} are trained.",
            where="validate.benign",
            fix=f"Set generalize.seeds to {wanted // 2 + 1} or more, or ask for fewer.",
        )


def calibrate(
    run: Run, model: ModelIdentity, auditor: Auditor, trained: Students, plan: ValidatePlan
) -> dict[str, Threshold]:
    """Each detector's threshold: the largest score among benign models that are neither the validated one nor in the
    trial.

    They are the students of the other seeds, which share everything with the validated model but the seed, and the
    ceilings but the first, from which organisms and twins are trained on.
    """
    benign = [*trained.students[1:], *trained.ceilings[1:]][: plan.benign]
    thresholds = {}
    for detector in plan.detectors:
        found = [
            run.step(
                f"{detector} on benign {i + 1}",
                assess,
                detector=detector,
                code=version_of(detector),
                auditor=auditor,
                base=model,
                name=f"benign-{i + 1}",
                trained=done,
            ).value.result
            for i, done in enumerate(benign)
        ]
        scores = [result.score for result in found if isinstance(result, Verdict)]
        thresholds[detector] = benign_threshold(detector, scores, len(found) - len(scores))
    return thresholds


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
    return tuple(
        detector_result(
            detector,
            run.step(
                f"{detector} on the model",
                assess,
                detector=detector,
                code=version_of(detector),
                auditor=auditor,
                base=base,
                name="model",
                trained=trained,
                user_model=user_model,
            ).value.result,
            threshold,
        )
        for detector, threshold in thresholds.items()
    )


def curve(
    run: Run,
    base: ModelIdentity,
    auditor: Auditor,
    *,
    trained: Done[TrainedModel] | None = None,
    user_model: ModelIdentity | None = None,
) -> LayerCurve:
    """Where the model knows the truth, by layer, beside what the text alone tells."""
    return run.step(
        "probe every second layer", draw_curve, auditor=auditor, base=base, trained=trained, user_model=user_model
    ).value


def draw_curve(
    folder: Path,
    *,
    auditor: Auditor,
    base: ModelIdentity,
    trained: Done[TrainedModel] | None = None,
    user_model: ModelIdentity | None = None,
) -> LayerCurve:
    """The step behind `curve`."""
    subject = opened("model", base, trained, user_model)
    return layer_curve(subject, auditor.questions, auditor.key, seed=auditor.seed)
