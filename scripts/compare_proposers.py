"""The table of docs/concepts/proposers.md: what each search reaches on toy problems with noise, against random draws.

python scripts/compare_proposers.py --seeds 20 --trials 80
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from scipy import stats

from superalign.contracts.registry import proposers
from superalign.testing.proposers import formulas, instruments, play, reached

SEARCHES = ("random", "optuna", "cma-es", "evolution")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("names", nargs="*", default=SEARCHES)
    asked = parser.parse_args()
    print(f"| {asked.trials} trials, {asked.seeds} seeds | proposer | reached | more than random |\n|---|---|---|---|")
    for toy in (instruments(), formulas()):
        found = {}
        for name in dict.fromkeys(("random", *asked.names)):
            make = partial(proposers.make, name, card=toy.card)
            runs = [play(make(seed=seed), toy, asked.trials, seed) for seed in range(asked.seeds)]
            found[name] = np.array([reached(toy, run) for run in runs])
            gain = "" if name == "random" else interval(found[name] - found["random"])
            print(f"| {toy.card.name} | {name} | {interval(found[name])} | {gain} |", flush=True)


def interval(values: np.ndarray) -> str:
    """Mean and Student's 95 % interval over seeds."""
    reach = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.3f} [{values.mean() - reach:.3f}, {values.mean() + reach:.3f}]"


if __name__ == "__main__":
    main()
