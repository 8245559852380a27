"""Exact intervals of rates, of differences and of the longest task done, in which unscored episodes count both ways."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import beta

from superalign.contracts.records import Interval, Unscored

LEVEL = 0.95


def rate_interval(reached: float, missing: int, episodes: int, level: float = LEVEL) -> Interval | Unscored:
    """Of a rate (Clopper and Pearson 1934): the lower end as if no unscored episode had reached it, the upper end as if
    every one had. The value is the rate of those that were scored. `reached` may be a fraction, where ties count half.
    """
    if episodes <= missing:
        return Unscored(reason="no episode was scored")
    tail = (1 - level) / 2
    most = reached + missing
    low = 0.0 if reached == 0 else float(beta.ppf(tail, reached, episodes - reached + 1))
    high = 1.0 if most >= episodes else float(beta.ppf(1 - tail, most + 1, episodes - most))
    return Interval(value=reached / (episodes - missing), low=low, high=high, level=level)


def difference(one: tuple[float, int, int], other: tuple[float, int, int]) -> Interval | Unscored:
    """Of two rates, each as for `rate_interval`. The ends are those of intervals of each at 97.5 %: at least 95 %
    however the two depend on each other, as paired arms do (Bonferroni).
    """
    level = 1 - (1 - LEVEL) / 2
    first, second = rate_interval(*one, level), rate_interval(*other, level)
    if isinstance(first, Unscored) or isinstance(second, Unscored):
        return Unscored(reason="no episode was scored in one of the two arms")
    return Interval(
        value=first.value - second.value, low=first.low - second.high, high=first.high - second.low, level=LEVEL
    )


def longest(levels: Sequence[float], rates: Sequence[Interval | Unscored]) -> Interval | Unscored:
    """The longest task of which at least half are done, as all shorter ones are; 0 where there is none.

    `levels` ascend. If longer tasks are no easier, the interval is exact without a correction for their number: it is
    too low at the top only if the interval of that one level is wrong, and too high at the bottom only if that of the
    next level is.
    """
    if all(isinstance(rate, Unscored) for rate in rates):
        return Unscored(reason="no episode was scored at any level")

    def reached(end: str) -> float:
        best = 0.0
        for level, rate in zip(levels, rates, strict=True):
            if isinstance(rate, Unscored) or getattr(rate, end) < 0.5:
                break
            best = level
        return best

    possible = [
        level for level, rate in zip(levels, rates, strict=True) if isinstance(rate, Unscored) or rate.high >= 0.5
    ]
    return Interval(value=reached("value"), low=reached("low"), high=max(possible, default=0.0), level=LEVEL)
