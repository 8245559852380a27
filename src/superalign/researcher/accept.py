"""Whether a solution is believed: a decision from final samples that nothing was chosen by.

The unit is the sample: solutions are compared on the same ones, by the mean difference with a one-sided Student bound.
Every time that a problem's final samples are opened spends some of the error that is allowed for all times together, so
that trying often does not help: the k-th decision is made at alpha * 6 / (pi^2 k^2), which sums to alpha.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.stats import t as student

from superalign.contracts.records import Record, Unscored

ALPHA = 0.05


class Gain(Record):
    """How much better one solution is than another on the same samples, in the direction that is better."""

    mean: float
    low: float = Field(description="One-sided lower bound at the level that this decision was allowed.")
    samples: tuple[float, ...]


class Decision(Record):
    """Accepted when the gain over the baseline is real and large enough to matter; credited to the proposer when it
    also beats what random search found with as many trials.
    """

    accepted: bool
    credited: bool
    over_baseline: Gain | Unscored
    over_control: Gain | Unscored
    level: float = Field(description="The error allowed for this decision.")
    reasons: tuple[str, ...] = Field(description="Why not, where it was not.")


def level_of(times_opened: int, alpha: float = ALPHA) -> float:
    """The error allowed for the `times_opened`-th decision on the same final samples, from 1."""
    return alpha * 6 / (math.pi**2 * times_opened**2)


def gain(
    ours: Sequence[float | Unscored], theirs: Sequence[float | Unscored], level: float, *, larger_is_better: bool
) -> Gain | Unscored:
    """Paired by sample. Unscored when any sample is, or when there are fewer than three."""
    failed = [score for score in (*ours, *theirs) if isinstance(score, Unscored)]
    if failed:
        return Unscored(reason=f"a final sample was not scored: {failed[0].reason}")
    if len(ours) < 3:
        return Unscored(reason=f"{len(ours)} samples are too few to tell a gain from noise")
    sign = 1 if larger_is_better else -1
    differences = sign * (np.array(ours, dtype=float) - np.array(theirs, dtype=float))
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    mean = float(differences.mean())
    low = mean - float(student.ppf(1 - level, len(differences) - 1)) * float(error)
    return Gain(mean=mean, low=low, samples=tuple(differences.tolist()))


def decide(
    over_baseline: Gain | Unscored,
    over_control: Gain | Unscored,
    *,
    level: float,
    smallest_gain: float,
    above_chance: bool,
) -> Decision:
    """`above_chance`: whether the solution's score is far above what it scores on shuffled truth. A solution that does
    as well there has found a fault of the metric, not the truth.
    """
    reasons = _faults(over_baseline, "the baseline", smallest_gain)
    if not above_chance:
        reasons.append("it scores no better on the truth than on shuffled truth")
    accepted = not reasons
    faults_of_credit = _faults(over_control, "random search with as many trials", 0.0)
    return Decision(
        accepted=accepted,
        credited=accepted and not faults_of_credit,
        over_baseline=over_baseline,
        over_control=over_control,
        level=level,
        reasons=(*reasons, *faults_of_credit),
    )


def _faults(found: Gain | Unscored, rival: str, smallest: float) -> list[str]:
    if isinstance(found, Unscored):
        return [f"no gain over {rival} was measured: {found.reason}"]
    faults = []
    if found.low <= 0:
        faults.append(f"its gain over {rival} may be none: the lower bound is {found.low:+.3f}")
    if found.mean < smallest:
        faults.append(f"its gain over {rival} of {found.mean:+.3f} is less than {smallest:g}, which would matter")
    return faults
