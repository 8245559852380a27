"""Print how often `superalign robustness abrupt` raises an alarm at 5 %, on simulated series, as the docs show it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from superalign.robustness.abrupt import Design, Fitted, exceedance

RUNS, RESAMPLES = 100, 199
DESIGNS = ((6, 50), (12, 20), (12, 50), (12, 200), (24, 50))
# Rates over the time of a training, from 0 to 1.
COURSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none: 5 %": lambda time: np.full_like(time, 0.05),
    "linear, 5 to 65 %": lambda time: 0.05 + 0.6 * time,
    "logistic, 5 to 65 %, over half of the series": lambda time: 0.05 + 0.6 * expit((time - 0.5) / 0.5 * 2 * np.log(9)),
    "logistic, 5 to 65 %, over a quarter": lambda time: 0.05 + 0.6 * expit((time - 0.5) / 0.25 * 2 * np.log(9)),
    "abrupt, 5 to 20 %": lambda time: np.where(time < 0.5, 0.05, 0.2),
    "abrupt, 5 to 35 %": lambda time: np.where(time < 0.5, 0.05, 0.35),
    "abrupt, 5 to 65 %": lambda time: np.where(time < 0.5, 0.05, 0.65),
    "abrupt, 5 to 65 %, near the end": lambda time: np.where(time < 0.85, 0.05, 0.65),
}


def alarms(rate: np.ndarray, of: int) -> float:
    """The share of series in which a shift shows."""
    design, rng, found = Design(range(len(rate)), [of] * len(rate), RESAMPLES, 0), np.random.default_rng(0), 0
    for _ in range(RUNS):
        seen = rng.binomial(of, rate, (1, len(rate))).astype(float)
        null = design.abruptness(design.drawn(Fitted(seen, design.of, design.gradual).rate[0]))
        found += exceedance(design.abruptness(seen)[0], null) <= 0.05
    return found / RUNS


def main() -> None:
    print("| course | " + " | ".join(f"{count} of {of}" for count, of in DESIGNS) + " |")
    print("|---|" + "---:|" * len(DESIGNS))
    for name, course in COURSES.items():
        shares = (alarms(course(np.linspace(0, 1, count)), of) for count, of in DESIGNS)
        print(f"| {name} | " + " | ".join(f"{share:.2f}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
