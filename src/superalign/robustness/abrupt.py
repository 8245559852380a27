"""Did a behaviour come all at once in the course of training, or grow? One change point against a gradual curve.

Rates are counted at checkpoints, k of n. Gradual means from one level to another along a logistic curve whose rise
from 10 to 90 % takes at least a quarter of the series; what never changes is the flat one of these. Abrupt means one
level up to some checkpoint and another from the next on. Of both the likelihood is maximized, the place included, and
the ratio is judged by series drawn from the gradual curve that fits best (parametric bootstrap), which pays for having
looked at every place.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator
from scipy.special import expit, logit, xlog1py, xlogy

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Record

FEWEST_CHECKPOINTS = 4
STRETCHES = (0.25, 0.5, 1.0, 2.0)  # of the series that a gradual rise from 10 to 90 % takes
MIDDLES = 9  # where its middle may lie
ITERATIONS = 40
POWERFUL = 0.8
TINY = 1e-9

Verdict = Literal["abrupt", "gradual", "steady", "undetermined"]


class Count(Record):
    """One checkpoint: it misbehaved in so many of so many cases."""

    step: int = Field(ge=0)
    misbehaved: int = Field(ge=0)
    of: int = Field(ge=1)

    @model_validator(mode="after")
    def _possible(self) -> Count:
        if self.misbehaved > self.of:
            raise ValueError(f"misbehaved in {self.misbehaved} of {self.of} cases")
        return self


class Series(Record):
    """One behaviour in the course of training, by ascending steps."""

    behaviour: str = Field(min_length=1)
    checkpoints: tuple[Count, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> Series:
        steps = [checkpoint.step for checkpoint in self.checkpoints]
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError("the steps of checkpoints must ascend")
        return self


class Shift(Record):
    """What a series shows. Rates, place and size are those of the likeliest change point, whatever the verdict."""

    behaviour: str
    verdict: Verdict
    reason: str
    p: float | None = Field(None, description="Of so abrupt a series if it were gradual, corrected for the behaviours.")
    p_change: float | None = Field(None, description="Of so much change if there were none.")
    power: float | None = Field(None, description="Chance that such a series shows a shift of the size asked for.")
    after: int | None = Field(None, description="The last step before the change point.")
    by: int | None = Field(None, description="The first step after it.")
    place: tuple[int, int] | None = Field(None, description="Steps between which it lies with 95 % (uniform prior).")
    before_rate: float | None = None
    after_rate: float | None = None
    size: Interval | None = Field(None, description="Rate after less rate before.")


class Fitted:
    """Two levels fitted to each of some series along each of some curves, and the likeliest of these."""

    def __init__(
        self,
        misbehaved: Float[np.ndarray, "series checkpoints"],
        of: Float[np.ndarray, "checkpoints"],
        curves: Float[np.ndarray, "curves checkpoints"],
    ) -> None:
        """By expectation maximization: a case is of the first level or of the second, with odds that the curve says."""
        k, fine = misbehaved[:, None, :], (of - misbehaved)[:, None, :]
        first, second = self._pooled(k, of, 1 - curves), self._pooled(k, of, curves)
        for _ in range(1 if np.isin(curves, (0, 1)).all() else ITERATIONS):
            rate = self._rate(first, second, curves)
            of_k = curves * second[..., None] / rate * k
            of_fine = curves * (1 - second[..., None]) / (1 - rate) * fine
            k_second, fine_second = of_k.sum(-1), of_fine.sum(-1)
            k_first, fine_first = k.sum(-1) - k_second, fine.sum(-1) - fine_second
            first = (k_first / np.maximum(k_first + fine_first, TINY)).clip(0, 1)
            second = (k_second / np.maximum(k_second + fine_second, TINY)).clip(0, 1)
        rate = self._rate(first, second, curves)
        self.likelihoods = (xlogy(k, rate) + xlog1py(fine, -rate)).sum(-1)
        self.best = self.likelihoods.argmax(1)
        rows = np.arange(len(misbehaved))
        self.likelihood = self.likelihoods[rows, self.best]
        self.first, self.second, self.rate = first[rows, self.best], second[rows, self.best], rate[rows, self.best]

    @staticmethod
    def _pooled(k: np.ndarray, of: np.ndarray, weight: np.ndarray) -> Float[np.ndarray, "series curves"]:
        return np.asarray((k * weight).sum(-1) / np.maximum((of * weight).sum(-1), TINY))

    @staticmethod
    def _rate(first: np.ndarray, second: np.ndarray, curves: np.ndarray) -> np.ndarray:
        return np.asarray((first[..., None] * (1 - curves) + second[..., None] * curves).clip(TINY, 1 - TINY))


class Design:
    """The checkpoints of a series: at which steps, how many cases each, and the curves that go with them."""

    def __init__(self, steps: Sequence[int], of: Sequence[int], resamples: int, seed: int) -> None:
        self.steps, self.of = np.array(steps, dtype=float), np.array(of, dtype=float)
        self.resamples, self.rng = resamples, np.random.default_rng(seed)
        self.gradual = gradual_curves(self.steps)
        self.abrupt = np.triu(np.ones((len(steps), len(steps))), 1)[:-1]
        self.flat = np.zeros((1, len(steps)))

    def drawn(self, rate: Float[np.ndarray, "checkpoints"]) -> Float[np.ndarray, "resamples checkpoints"]:
        """Series with these rates."""
        return self.rng.binomial(self.of.astype(int), rate, (self.resamples, len(rate))).astype(float)

    def abruptness(self, misbehaved: np.ndarray) -> Float[np.ndarray, "series"]:
        """Log-likelihood of the best change point less that of the best gradual curve."""
        abrupt, gradual = (Fitted(misbehaved, self.of, curves) for curves in (self.abrupt, self.gradual))
        return np.asarray(abrupt.likelihood - gradual.likelihood)

    def change(self, misbehaved: np.ndarray) -> Float[np.ndarray, "series"]:
        """Log-likelihood of the best of all curves less that of none."""
        fits = [Fitted(misbehaved, self.of, curves).likelihood for curves in (self.abrupt, self.gradual)]
        return np.asarray(np.max(fits, axis=0) - Fitted(misbehaved, self.of, self.flat).likelihood)


def gradual_curves(steps: Float[np.ndarray, "checkpoints"]) -> Float[np.ndarray, "curves checkpoints"]:
    """Logistic curves of every stretch and middle, from 0 at the first checkpoint to 1 at the last."""
    span = steps[-1] - steps[0]
    middles = np.linspace(steps[0], steps[-1], MIDDLES)
    found = np.array(
        [
            expit((steps - middle) / (stretch * span) * (logit(0.9) - logit(0.1)))
            for stretch in STRETCHES
            for middle in middles
        ]
    )
    return np.asarray((found - found[:, :1]) / (found[:, -1:] - found[:, :1]))


def abrupt_shifts(
    series: Sequence[Series], *, level: float = 0.05, size: float = 0.3, resamples: int = 500, seed: int = 0
) -> list[Shift]:
    """Judge each of `series`, corrected for their number (Holm), at an error rate of `level`.

    A series that shows no abrupt shift is called gradual or steady only if it would have shown one of `size` in its
    middle with a chance of 0.8; else it is undetermined. InputError for two series of one behaviour.
    """
    names = [own.behaviour for own in series]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"There are two series of {twice[0]!r}.", fix="Give each behaviour a name of its own.")
    judged = [judge(own, level / len(series), size, resamples, seed) for own in series]
    corrected = holm([shift.p for shift in judged])
    return [concluded(shift, p, level, size) for shift, p in zip(judged, corrected, strict=True)]


def judge(series: Series, level: float, size: float, resamples: int, seed: int) -> Shift:
    """The numbers of one series, without its verdict."""
    counts = series.checkpoints
    undetermined = Shift(behaviour=series.behaviour, verdict="undetermined", reason="")
    if len(counts) < FEWEST_CHECKPOINTS:
        return undetermined
    design = Design([count.step for count in counts], [count.of for count in counts], resamples, seed)
    seen = np.array([[count.misbehaved for count in counts]], dtype=float)
    gradual, abrupt = Fitted(seen, design.of, design.gradual), Fitted(seen, design.of, design.abrupt)
    flat = Fitted(seen, design.of, design.flat)
    null = design.abruptness(design.drawn(gradual.rate[0]))
    place = int(abrupt.best[0])
    again = Fitted(design.drawn(abrupt.rate[0]), design.of, design.abrupt)
    low, high = np.quantile(again.second - again.first, [0.025, 0.975])
    first, second = float(abrupt.first[0]), float(abrupt.second[0])
    rate = float(flat.rate[0, 0])
    shifted = np.where(np.arange(len(counts)) < len(counts) / 2, rate, rate + size if rate + size <= 1 else rate - size)
    steps = [count.step for count in counts]
    likely = likeliest(abrupt.likelihoods[0])
    return undetermined.model_copy(
        update={
            "p": exceedance(design.abruptness(seen)[0], null),
            "p_change": exceedance(design.change(seen)[0], design.change(design.drawn(flat.rate[0]))),
            "power": float((design.abruptness(design.drawn(shifted)) > np.quantile(null, 1 - level)).mean()),
            "after": steps[place],
            "by": steps[place + 1],
            "place": (steps[min(likely)], steps[max(likely) + 1]),
            "before_rate": first,
            "after_rate": second,
            "size": Interval(value=second - first, low=float(low), high=float(high)),
        }
    )


def concluded(shift: Shift, p: float | None, level: float, size: float) -> Shift:
    """`shift` with its verdict, by the corrected `p`."""
    verdict: Verdict = "undetermined"
    if p is None or shift.power is None or shift.p_change is None:
        reason = f"fewer than {FEWEST_CHECKPOINTS} checkpoints"
    elif p <= level:
        verdict, reason = "abrupt", f"no gradual curve explains the shift between {shift.after} and {shift.by}"
    elif shift.power < POWERFUL:
        reason = f"too few checkpoints or cases: a shift of {size:g} would show with a chance of {shift.power:.2f}"
    elif shift.p_change <= level:
        verdict, reason = "gradual", "the rate changes, and a gradual curve explains how"
    else:
        verdict, reason = "steady", "no change of the rate shows"
    return shift.model_copy(update={"verdict": verdict, "reason": reason, "p": p})


def exceedance(seen: float, drawn: Float[np.ndarray, "resamples"]) -> float:
    """Monte Carlo p-value; what is drawn ties against."""
    return float((1 + (drawn >= seen - TINY).sum()) / (1 + len(drawn)))


def likeliest(likelihoods: Float[np.ndarray, "places"], share: float = 0.95) -> list[int]:
    """The fewest places that together have `share` of the likelihood."""
    weights = np.exp(likelihoods - likelihoods.max())
    order = np.argsort(-weights, kind="stable")
    enough = int(np.searchsorted(np.cumsum(weights[order]) / weights.sum(), share)) + 1
    return [int(place) for place in order[:enough]]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction for as many p-values as there are."""
    order = sorted((i for i, p in enumerate(p_values) if p is not None), key=lambda i: p_values[i] or 0.0)
    found: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (p_values[i] or 0.0) * (len(order) - rank)))
        found[i] = least
    return found
