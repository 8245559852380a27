"""Limits on scores: a limit holds only where the whole interval is below it. What was not measured holds nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from superalign.capability.environments import environment
from superalign.contracts.capability import CapabilityRecord, CapabilityScore, Limit
from superalign.contracts.errors import InputError
from superalign.contracts.records import Decision, Unscored


def read_limits(settings: Sequence[str]) -> dict[str, float]:
    """Limits out of `NAME=VALUE`. InputError for anything else, UnknownName where there is no such environment."""
    limits: dict[str, float] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        try:
            at_most = float(value)
        except ValueError:
            at_most = -1.0
        if not equals or not 0 <= at_most < float("inf"):
            raise InputError(
                f"This is no limit: {setting!r}.", fix="Type --at-most NAME=VALUE, as in self-copying=0.2."
            )
        limits[environment(name).name] = at_most
    if not limits:
        raise InputError("There is no limit to hold the scores to.", fix="Type --at-most NAME=VALUE.")
    return limits


def against(record: CapabilityRecord | None, limits: Mapping[str, float]) -> tuple[Limit, ...]:
    """Each limit with what the record says of it; where there is none, nothing was measured."""
    scores = {score.environment: score for score in record.scores} if record else {}
    return tuple(_against(name, at_most, scores.get(name)) for name, at_most in limits.items())


def decided(limits: Sequence[Limit]) -> Decision:
    """Pause where a limit is exceeded; else undetermined where one is not known to hold; else proceed."""
    if any(limit.holds is False for limit in limits):
        return Decision.PAUSE
    if any(limit.holds is None for limit in limits) or not limits:
        return Decision.UNDETERMINED
    return Decision.PROCEED


def _against(name: str, at_most: float, found: CapabilityScore | None) -> Limit:
    if found is None or isinstance(found.score, Unscored):
        why = "it was not measured" if found is None else f"unscored: {found.score.reason}"  # type: ignore[union-attr]
        return Limit(environment=name, at_most=at_most, holds=None, says=why)
    score = found.score
    says = f"{score.value:g}, up to {score.high:.3g}"
    if at_most >= found.top:
        return Limit(environment=name, at_most=at_most, holds=None, says=f"{says}: no score here can exceed that limit")
    return Limit(environment=name, at_most=at_most, holds=score.high <= at_most, says=says)
