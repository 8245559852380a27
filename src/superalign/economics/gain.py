"""The compute-equivalent gain of one recipe of training over another: how much less compute it takes to the same loss.

Each seed's points become a curve that never rises (isotonic regression of loss on the logarithm of compute), straight
between the centres of its steps. No law is fitted and nothing is extrapolated: with the few points that there are, the
exponent and the floor of a power law trade off against each other, and the ratio at a loss that nobody reached is
whatever the law says. The gain at a loss is the ratio of the geometric means, over seeds, of the compute that each
curve takes to it; its interval is Student's, on logarithms, since a bootstrap of few seeds is too narrow.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import Field, TypeAdapter, ValidationError
from scipy.stats import ttest_ind, ttest_rel
from sklearn.isotonic import isotonic_regression

from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.records import Interval, Record, Unscored

LEVEL = 0.95
PLACES = (0.0, 0.25, 0.5, 0.75)  # of the losses that all curves share, from the lowest


class Point(Record):
    """One measurement: a recipe's loss after so much compute."""

    recipe: str = Field(min_length=1)
    seed: int
    compute: float = Field(gt=0, description="FLOP, seconds or whatever both recipes are counted in.")
    loss: float


class GainAt(Record):
    """The gain at one loss: above 1, the recipe takes less compute than the baseline."""

    loss: float
    gain: Interval | Unscored


class Gains(Record):
    """A recipe against a baseline, at several losses."""

    recipe: str
    baseline: str
    seeds: int = Field(description="Of the recipe that has fewer.")
    paired: bool = Field(description="Both have the same seeds, and are compared seed by seed.")
    at: tuple[GainAt, ...]


class Curve:
    """One seed's loss against compute: `log_compute` rises and `loss` falls from step to step."""

    def __init__(self, seed: int, points: Sequence[Point]) -> None:
        ordered = sorted(points, key=lambda point: point.compute)
        compute = np.log([point.compute for point in ordered])
        fitted = isotonic_regression([point.loss for point in ordered], increasing=False)
        steps = [fitted == level for level in sorted(set(fitted.tolist()), reverse=True)]
        self.seed = seed
        self.loss: Float[np.ndarray, "steps"] = np.array([fitted[step][0] for step in steps])
        self.log_compute: Float[np.ndarray, "steps"] = np.array([compute[step].mean() for step in steps])

    def reaches(self, loss: float) -> bool:
        """Whether the loss is between its highest and its lowest."""
        return bool(self.loss[-1] <= loss <= self.loss[0])

    def takes(self, loss: float) -> float:
        """The logarithm of the compute that it takes to a loss which it reaches."""
        return float(np.interp(-loss, -self.loss, self.log_compute))


def gains(
    points: Sequence[Point], recipe: str | None = None, baseline: str | None = None, losses: Sequence[float] = ()
) -> Gains:
    """The recipe's gain over the baseline at `losses`, or at four that all curves share.

    Without names the baseline is the recipe that `points` begin with, and the recipe the only other one. Unscored at a
    loss that a seed does not reach, since leaving that seed out would favour its recipe. InputError where the points
    hold no two such recipes.
    """
    recipe, baseline = _chosen([point.recipe for point in points], recipe, baseline)
    sides = _curves(points, recipe), _curves(points, baseline)
    seeds = [[curve.seed for curve in side] for side in sides]
    if not losses:
        every = [*sides[0], *sides[1]]
        low, high = max(curve.loss[-1] for curve in every), min(curve.loss[0] for curve in every)
        losses = [low + place * (high - low) for place in PLACES] if low <= high else [low]
    paired = seeds[0] == seeds[1]
    return Gains(
        recipe=recipe,
        baseline=baseline,
        seeds=min(map(len, seeds)),
        paired=paired,
        at=tuple(GainAt(loss=loss, gain=_gain(sides[0], sides[1], loss, paired)) for loss in losses),
    )


def _gain(recipe: Sequence[Curve], baseline: Sequence[Curve], loss: float, paired: bool) -> Interval | Unscored:
    for side, name in ((recipe, "recipe"), (baseline, "baseline")):
        if short := [curve.seed for curve in side if not curve.reaches(loss)]:
            return Unscored(
                reason=f"of the {name}, seeds {', '.join(map(str, short))} have no point on both sides of it"
            )
    if min(len(recipe), len(baseline)) < 2:
        return Unscored(reason="one seed has no spread: it takes two at least, and five for a claim")
    took = [np.array([curve.takes(loss) for curve in side]) for side in (baseline, recipe)]
    difference = float(took[0].mean() - took[1].mean())
    spread = np.ptp(took[0] - took[1]) if paired else max(map(np.ptp, took))
    if spread == 0:
        return Unscored(reason="all seeds took the same compute, so that nothing tells how far chance goes")
    test = ttest_rel(*took) if paired else ttest_ind(*took, equal_var=False)
    interval = test.confidence_interval(LEVEL)
    value, low, high = np.exp([difference, interval.low, interval.high]).tolist()
    if not np.isfinite(high):
        return Unscored(reason="the seeds are too far apart for an interval")
    return Interval(value=value, low=low, high=high, level=LEVEL)


def _chosen(named: Sequence[str], recipe: str | None, baseline: str | None) -> tuple[str, str]:
    known = list(dict.fromkeys(named))
    for name in (recipe, baseline):
        if name is not None and name not in known:
            raise UnknownName("recipe among the points", name, known)
    baseline = baseline or next((name for name in known if name != recipe), None)
    others = [name for name in known if name != baseline]
    recipe = recipe or (others[0] if len(others) == 1 else None)
    if baseline is None or recipe is None or recipe == baseline:
        raise InputError(
            f"Which recipe is to be compared with which? The points have: {', '.join(known) or 'none'}.",
            fix="Name two with --recipe and --baseline.",
        )
    return recipe, baseline


def _curves(points: Sequence[Point], recipe: str) -> list[Curve]:
    seeds = sorted({point.seed for point in points if point.recipe == recipe})
    return [Curve(seed, [each for each in points if (each.recipe, each.seed) == (recipe, seed)]) for seed in seeds]


def read_points(path: Path) -> list[Point]:
    """The points of a JSON list of objects, or of a CSV file with a header. InputError says which one is wrong."""
    columns = ", ".join(Point.model_fields)
    try:
        text = path.read_text(encoding="utf-8")
        rows: Any = json.loads(text) if path.suffix == ".json" else list(csv.DictReader(text.splitlines(), strict=True))
        return TypeAdapter(list[Point]).validate_python(rows)
    except OSError as error:
        raise InputError(f"The file can't be read: {error.strerror}.", where=str(path), fix="Check the path.") from None
    except ValidationError as error:
        detail = error.errors()[0]
        place = " of ".join(
            str(part)
            for part in reversed([f"point {part + 1}" if isinstance(part, int) else part for part in detail["loc"]])
        )
        what = f"{place or 'The list'}: {detail['msg'].lower()}."
        raise InputError(what, where=str(path), fix=f"Each point has: {columns}.") from None
    except (ValueError, csv.Error, RecursionError) as error:
        raise InputError(f"These are no points: {error}.", where=str(path), fix=f"Each has: {columns}.") from None
