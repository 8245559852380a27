"""Parts of solutions to `location`: estimates of the middle of a sample."""

import numpy as np


def report(given, number):
    return {"location": number}


def mean(given):
    return np.mean(given["x"])


def median(given):
    return np.median(given["x"])


def trimmed(given, share):
    ordered = np.sort(given["x"])
    cut = int(share * len(ordered))
    return ordered[cut : len(ordered) - cut].mean()


def clipped(given, spreads):
    middle = np.median(given["x"])
    spread = np.median(np.abs(given["x"] - middle))
    return np.clip(given["x"], middle - spreads * spread, middle + spreads * spread).mean()


def middle_of_extremes(given, share):
    return np.quantile(given["x"], [share, 1 - share]).mean()


def average(given, a, b, weight):
    return weight * a + (1 - weight) * b


PARTS = {
    "report": report,
    "mean": mean,
    "median": median,
    "trimmed": trimmed,
    "clipped": clipped,
    "middle_of_extremes": middle_of_extremes,
    "average": average,
}
