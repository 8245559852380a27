"""Proposers at equal budget: what each finds, beside random search with as many trials, over several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from pydantic import Field
from scipy.stats import t as student

from superalign.contracts.records import Interval, Record, Unscored
from superalign.contracts.registry import PartCall
from superalign.researcher.accept import Decision, Gain
from superalign.researcher.folder import Settings
from superalign.researcher.session import research

LEVEL = 0.95


class Compared(Record):
    """What one proposer found, on final samples, over all seeds. Gains are in the direction that is better."""

    proposer: str
    seeds: int
    accepted: int = Field(description="Of the seeds, those whose solution is accepted over the baseline.")
    over_baseline: Interval | Unscored
    over_random: Interval | Unscored = Field(description="The proposer's lift at equal trials.")


def compare(
    problem: PartCall,
    proposers: Sequence[PartCall],
    root: Path,
    *,
    trials: int,
    seeds: Sequence[int],
    note: Callable[[str], None],
) -> list[Compared]:
    """A research run of every proposer for every seed, resumed where it was killed. A seed has samples of its own."""
    found = []
    for proposer in proposers:
        decisions = []
        for seed in seeds:
            note(f"{proposer.name}, seed {seed}")
            settings = Settings(
                problem=problem,
                proposer=proposer,
                seed=seed,
                seconds=24 * 3600,
                trials=trials,
                above_reference=True,
            )
            decisions.append(research(settings, root, note).decision)
        found.append(summed_up(proposer.name, decisions))
    return found


def summed_up(proposer: str, decisions: Sequence[Decision | Unscored]) -> Compared:
    """Gains over seeds, with a Student interval. Unscored when any seed's is, or there are fewer than three."""
    decided = [decision for decision in decisions if isinstance(decision, Decision)]
    missing = Unscored(reason=f"{len(decisions) - len(decided)} of {len(decisions)} seeds came to no decision")
    complete = len(decided) == len(decisions)
    return Compared(
        proposer=proposer,
        seeds=len(decisions),
        accepted=sum(decision.accepted for decision in decided),
        over_baseline=interval([decision.over_baseline for decision in decided]) if complete else missing,
        over_random=interval([decision.over_control for decision in decided]) if complete else missing,
    )


def interval(gains: Sequence[Gain | Unscored]) -> Interval | Unscored:
    """The mean gain over seeds, two-sided."""
    failed = [gain for gain in gains if isinstance(gain, Unscored)]
    if failed:
        return failed[0]
    means = [gain.mean for gain in gains if isinstance(gain, Gain)]
    if len(means) < 3:
        return Unscored(reason=f"{len(means)} seeds are too few for an interval")
    mean = fmean(means)
    half = float(student.ppf((1 + LEVEL) / 2, len(means) - 1)) * stdev(means) / math.sqrt(len(means))
    return Interval(value=mean, low=mean - half, high=mean + half, level=LEVEL)
