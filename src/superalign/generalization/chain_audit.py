"""The gold audit of a bootstrap chain: how right each generation is, whose errors it repeats, what its gate does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.oversight import Estimate
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.studies.chain import Arm, ArmName, BootstrapChain, Generation, How, PlantedError
from superalign.generalization.pgr import PairedBootstrap
from superalign.runs.studies import ChainPlan
from superalign.tasks.metrics import percentile_interval

Margins = Float[np.ndarray, "seeds questions"]
Values = Float[np.ndarray, "seeds questions"]


@dataclass(frozen=True)
class Audit:
    """What the models of all arms said, the first overseer first, and what is true."""

    truth: Bool[np.ndarray, "questions"]
    groups: list[str]
    held_back_truth: Bool[np.ndarray, "held_back"]
    held_back_groups: list[str]
    of_kind: Bool[np.ndarray, "questions"]
    test: Mapping[ArmName, Sequence[Margins]]
    held_back: Mapping[ArmName, Sequence[Margins]]
    wrong: Mapping[How, float]


def summarize(audit: Audit, plan: ChainPlan, seed: int, *, labelled: int, trained: int) -> BootstrapChain:
    """All arms in the same resamples."""
    bootstrap = PairedBootstrap(audit.truth, audit.groups, resamples=plan.bootstrap, seed=seed)
    gate = PairedBootstrap(audit.held_back_truth, audit.held_back_groups, resamples=plan.bootstrap, seed=seed)
    last = {arm: generations[-1] for arm, generations in audit.test.items()}
    return BootstrapChain(
        task=plan.task,
        first_layers=plan.first_layers,
        labelled=labelled,
        held_back=len(audit.held_back_truth),
        trained=trained,
        questions=len(audit.truth),
        seeds=plan.seeds,
        tolerance=plan.tolerance,
        kind=plan.planted.kind,
        rate=plan.planted.rate,
        arms=tuple(audited(arm, audit, plan.tolerance, bootstrap, gate) for arm in audit.test),
        over_direct=bootstrap.gain(last["chain"], last["direct"]),
        over_weakest=bootstrap.gain(last["chain"], last["weakest"]),
        planted=tuple(planted_left(how, audit, bootstrap) for how in audit.wrong),
    )


def audited(arm: ArmName, audit: Audit, tolerance: float, bootstrap: PairedBootstrap, gate: PairedBootstrap) -> Arm:
    """One arm, generation by generation, and with the gate."""
    tested, held_back = audit.test[arm], audit.held_back[arm]
    first = audit.test["chain"][0]
    stops = stopped_at(held_back, audit.held_back_truth, tolerance)
    let_pass = np.array([tested[stop - 1][seed] for seed, stop in enumerate(stops)])
    return Arm(
        arm=arm,
        generations=tuple(
            Generation(
                score=bootstrap.score(own),
                unlike_first=measured(((own > 0) != (first > 0)).astype(float), bootstrap),
                copied=repeated(own, first, audit.truth, bootstrap),
                held_back=measured(right(shown, audit.held_back_truth), gate),
                stopped=sum(stop <= number for stop in stops),
            )
            for number, (own, shown) in enumerate(zip(tested, held_back, strict=True))
        ),
        gated=measured(right(let_pass, audit.truth), bootstrap),
        gate_gain=bootstrap.gain(let_pass, tested[-1]),
    )


def stopped_at(held_back: Sequence[Margins], truth: Bool[np.ndarray, "held_back"], tolerance: float) -> list[int]:
    """For each seed the first generation that lost more than `tolerance` of the first overseer's accuracy on the labels
    held back; one beyond the last where none did.
    """
    by_generation = [right(margins, truth).mean(axis=1) for margins in held_back]
    lost = np.array([by_generation[0] - own for own in by_generation]) > tolerance + 1e-9
    return [int(own.argmax()) if own.any() else len(own) for own in lost.T]


def planted_left(how: How, audit: Audit, bootstrap: PairedBootstrap) -> PlantedError:
    """How much accuracy each generation lacks for the planted error, in units of what its labels lacked.

    Undefined unless the interval of the latter lies above 0.
    """
    concerned = audit.of_kind & audit.truth if how == "systematic" else np.ones_like(audit.truth)
    lacking = [
        np.where(concerned, right(clean, audit.truth) - right(misled, audit.truth), np.nan)
        for clean, misled in zip(audit.test["chain"], audit.test[how], strict=True)
    ]
    value = [bootstrap.value(share, own) for own in lacking]
    drawn = [bootstrap.resampled(share, own) for own in lacking]
    planted = percentile_interval(value[0], drawn[0])
    wrong, questions = audit.wrong[how], int(concerned.sum())
    if planted.low <= 0:
        reason = (
            f"the planted errors cost {planted.value:.3f} of accuracy with an interval of [{planted.low:.3f}, "
            f"{planted.high:.3f}] that includes 0: there may be nothing to be left of them"
        )
        none = Unscored(reason=reason)
        return PlantedError(how=how, wrong=wrong, questions=questions, left=(none,) * len(value), change=none)
    unit = np.where(drawn[0] > 0, drawn[0], np.nan)
    return PlantedError(
        how=how,
        wrong=wrong,
        questions=questions,
        left=tuple(percentile_interval(own / value[0], many / unit) for own, many in zip(value, drawn, strict=True)),
        change=percentile_interval((value[-1] - value[1]) / value[0], (drawn[-1] - drawn[1]) / unit),
    )


def repeated(
    own: Margins, first: Margins, truth: Bool[np.ndarray, "questions"], bootstrap: PairedBootstrap
) -> Estimate:
    """How often a generation repeats the first overseer of its own chain where that is wrong."""
    wrong = (first > 0) != truth
    if not wrong.any(axis=1).all():
        return Unscored(reason="a first overseer is never wrong here")
    return measured(np.where(wrong, (own > 0) != truth, np.nan), bootstrap)


def measured(values: Values, bootstrap: PairedBootstrap) -> Interval:
    """The mean over seeds and questions, with its interval."""
    return percentile_interval(bootstrap.value(share, values), bootstrap.resampled(share, values))


def right(margins: Margins, truth: Bool[np.ndarray, "questions"]) -> Values:
    """1 where the answer is right, 0 where it is wrong; a margin of exactly 0 is half right, as for `accuracy`."""
    return np.where(margins == 0, 0.5, (margins > 0) == truth)


def share(
    values: Float[np.ndarray, "questions"],
    truth: Bool[np.ndarray, "questions"],
    weights: Float[np.ndarray, "resamples questions"],
) -> Float[np.ndarray, "resamples"]:
    """The mean of those values that are numbers, NaN if none of them has weight; a metric that needs no truth."""
    known = np.isfinite(values)
    total = weights @ known
    return np.asarray(weights @ np.where(known, values, 0) / np.where(total > 0, total, np.nan))
