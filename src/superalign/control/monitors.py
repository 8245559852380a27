"""Monitors rate a proposal before it runs. What they could not rate is as suspicious as can be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from superalign.contracts.control import Monitor, Opinion
from superalign.contracts.records import Unscored
from superalign.contracts.research import Proposal
from superalign.control.escaped import escaped

_EVIDENCE_WIDTH = 160
_EVIDENCE_LINES = 40


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that a rule found. `weight` is how suspicious it is when there is nothing else."""

    line: int
    reason: str
    weight: float
    text: str


def opinion(monitor: str, findings: Iterable[Finding]) -> Opinion:
    """Findings together: each kind of reason counts once, and they add as independent ones do, 1 - (1 - a)(1 - b)..."""
    found = sorted(set(findings))
    weights: dict[str, float] = {}
    for finding in found:
        weights[finding.reason] = max(finding.weight, weights.get(finding.reason, 0.0))
    reasons = sorted(weights, key=lambda reason: -weights[reason])
    evidence = [f"line {one.line}: {escaped(one.text.strip())[:_EVIDENCE_WIDTH]}" for one in found]
    return Opinion(
        monitor=monitor,
        suspicion=1 - math.prod(1 - weight for weight in weights.values()),
        reasons=tuple(reasons),
        evidence=tuple(dict.fromkeys(evidence))[:_EVIDENCE_LINES],
    )


def rate(proposal: Proposal, monitors: Iterable[Monitor]) -> list[Opinion | Unscored]:
    """What each monitor makes of it. One that fails is Unscored, and its failure hides no other's opinion."""
    opinions: list[Opinion | Unscored] = []
    for monitor in monitors:
        try:
            opinions.append(monitor.rate(proposal))
        except Exception as problem:
            opinions.append(Unscored(reason=f"the monitor {monitor.name} failed: {type(problem).__name__}"))
    return opinions


def suspicion(opinions: Sequence[Opinion | Unscored]) -> float:
    """The most suspicious opinion. What no monitor rated, or one could not rate, is at 1."""
    if not opinions:
        return 1.0
    return max(1.0 if isinstance(one, Unscored) else one.suspicion for one in opinions)
