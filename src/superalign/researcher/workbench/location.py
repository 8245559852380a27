"""Parts of solutions to `location`: estimates of the middle of a sample."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Given = Mapping[str, Any]


def report(given: Given, number: float) -> dict[str, float]:
    return {"location": number}


def mean(given: Given) -> float:
    return float(np.mean(given["x"]))


def median(given: Given) -> float:
    return float(np.median(given["x"]))


def trimmed(given: Given, share: float) -> float:
    ordered = np.sort(given["x"])
    cut = int(share * len(ordered))
    return float(ordered[cut : len(ordered) - cut].mean())


def clipped(given: Given, spreads: float) -> float:
    middle = np.median(given["x"])
    spread = np.median(np.abs(given["x"] - middle))
    return float(np.clip(given["x"], middle - spreads * spread, middle + spreads * spread).mean())


def middle_of_extremes(given: Given, share: float) -> float:
    return float(np.quantile(given["x"], [share, 1 - share]).mean())


def average(given: Given, a: float, b: float, weight: float) -> float:
    return weight * a + (1 - weight) * b


PARTS: dict[str, Callable[..., Any]] = {
    "report": report,
    "mean": mean,
    "median": median,
    "trimmed": trimmed,
    "clipped": clipped,
    "middle_of_extremes": middle_of_extremes,
    "average": average,
}
