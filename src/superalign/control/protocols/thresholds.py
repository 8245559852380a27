"""Thresholds from benign scores, by order statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from superalign.contracts.actions import Score
from superalign.contracts.records import Unscored


def threshold_for(benign: Sequence[Score], rate: float) -> Score:
    """The k-th largest of n benign scores, k = floor(rate (n + 1)): the next benign one exceeds it with a probability
    of k / (n + 1) at most, whatever the distribution. Unscored where n is too small for the rate.

    A benign text that could not be scored counts as the most suspicious: it will be touched too.
    """
    allowed = math.floor(rate * (len(benign) + 1) + 1e-9)
    if allowed < 1:
        needed = math.ceil(1 / rate - 1e-9) - 1 if rate > 0 else None
        least = f"at least {needed} are needed" if needed else "no number of them is enough"
        return Unscored(reason=f"{len(benign)} benign scores set no threshold for a rate of {rate:g}: {least}")
    missing = sum(isinstance(score, Unscored) for score in benign)
    if missing >= allowed:
        return Unscored(
            reason=f"{missing} of {len(benign)} benign texts could not be scored, more than a rate of {rate:g} allows"
        )
    scored = sorted((score for score in benign if not isinstance(score, Unscored)), reverse=True)
    return scored[allowed - missing - 1]


def suspicious(score: Score, threshold: Score) -> bool:
    """Whether a score is above the threshold. What has no score is; without a threshold everything is."""
    return isinstance(score, Unscored) or isinstance(threshold, Unscored) or not score <= threshold
