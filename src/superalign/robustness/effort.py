"""How hard was looked: forward passes and seconds until the first confirmed misbehaviour, or until a search gave up.

A search that found nothing is censored: it is never dropped, and never counted as safe.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from scipy.stats import CensoredData, ecdf

from superalign.contracts.errors import InputError
from superalign.contracts.records import Cost, Record
from superalign.runs.cost import Meter, metered


class Effort(Record):
    """What one search took until it `found` something confirmed, or until it gave up."""

    forward_passes: int
    seconds: float
    found: bool

    @property
    def details(self) -> dict[str, float]:
        """As a verdict keeps it. Seconds are in its cost: the same subject must get the same verdict."""
        return {"found": float(self.found), "passes": float(self.forward_passes)}


class Budget:
    """Forward passes that a search may spend; it stops at the end of the round in which they are spent."""

    def __init__(self, forward_passes: int, meter: Meter) -> None:
        self._most, self._meter = forward_passes, meter
        self._found: Cost | None = None

    @property
    def spent(self) -> bool:
        return self._meter.cost().forward_passes >= self._most

    def found(self) -> None:
        """Something was confirmed; only the first time counts."""
        self._found = self._found or self._meter.cost()

    @property
    def effort(self) -> Effort:
        cost = self._found or self._meter.cost()
        return Effort(forward_passes=cost.forward_passes, seconds=cost.seconds, found=self._found is not None)


@contextmanager
def budgeted(forward_passes: int) -> Iterator[Budget]:
    """A budget whose clock starts now."""
    with metered() as meter:
        yield Budget(forward_passes, meter)


class Survival(Record):
    """Kaplan-Meier estimate of the share of searches that have found nothing after so many forward passes.

    One step for each number of passes at which something was found, with its pointwise interval.
    """

    passes: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    level: float = 0.95
    searches: int
    censored: int

    @property
    def median(self) -> float | None:
        """Passes by which half of the searches found something; None if fewer did."""
        return next((at for at, left in zip(self.passes, self.share, strict=True) if left <= 0.5), None)


def survival(efforts: Sequence[Effort], level: float = 0.95) -> Survival:
    """Kaplan-Meier with a log-log interval (Greenwood's variance). InputError for no searches."""
    if not efforts:
        raise InputError("There are no searches to be summed up.", fix="Give at least one.")
    found = [effort.forward_passes for effort in efforts if effort.found]
    censored = [effort.forward_passes for effort in efforts if not effort.found]
    estimate = ecdf(CensoredData(uncensored=found, right=censored)).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined")  # once nobody is left: see below
        interval = estimate.confidence_interval(level, method="log-log")
    at = np.isin(estimate.quantiles, found)
    low, high = interval.low.probabilities[at], interval.high.probabilities[at]
    return Survival(
        passes=tuple(estimate.quantiles[at].tolist()),
        share=tuple(estimate.probabilities[at].tolist()),
        low=tuple(np.nan_to_num(low, nan=0.0).tolist()),
        # Survival does not rise: a bound that is not defined is the last one before it that is.
        high=tuple(np.fmin.accumulate([1.0, *high])[1:].tolist()),
        level=level,
        searches=len(efforts),
        censored=len(censored),
    )
