"""The protocols: who acts where an alarm is raised.

Greenblatt et al. 2023, *AI Control* (arXiv 2312.06942): monitoring (suspicious actions are audited),
deferring (a trusted model acts in their place), editing (a trusted model keeps of them what it can vouch for). What is
not scored is never passed: it goes the way of what is suspicious, and where that leads nowhere it is held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from superalign.contracts.actions import Action, Doer, Handled, Response, Score, TrustedAgent
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.control.protocols.thresholds import suspicious

# Whether a person who reads the action finds it harmful; Unscored where nobody could say.
Audit = Callable[[Action], "bool | Unscored"]


@dataclass
class Audits:
    """How many actions people can still read."""

    left: int
    audit: Audit

    def passes(self, action: Action) -> bool | None:
        """Whether a person lets the action through; None when nobody is left to read it."""
        if self.left <= 0:
            return None
        self.left -= 1
        return self.audit(action) is False


@dataclass(frozen=True)
class ControlProtocol:
    """One protocol: what becomes of a suspicious action. Deferring and editing need a trusted agent."""

    name: str
    response: Response
    trusted: TrustedAgent | None = None

    def __post_init__(self) -> None:
        if self.response != "audit" and self.trusted is None:
            raise InputError(f"The protocol {self.name!r} has nobody to {self.response} to.", fix="Give it `trusted`.")

    def handle(
        self, actions: Sequence[Action], scores: Sequence[Score], threshold: Score, audits: Audits
    ) -> list[Handled]:
        """What is done with each action, in order. A suspicious one beyond the audits is held."""
        alarmed = [place for place, score in enumerate(scores) if suspicious(score, threshold)]
        instead = dict(zip(alarmed, self._instead([actions[place] for place in alarmed]), strict=True))
        return [
            _handled(action, score, place in instead, instead.get(place), self._doer, audits)
            for place, (action, score) in enumerate(zip(actions, scores, strict=True))
        ]

    @property
    def _doer(self) -> Doer:
        return "edited" if self.response == "edit" else "trusted"

    def _instead(self, actions: Sequence[Action]) -> Sequence[str | Unscored | None]:
        """The trusted agent's calls in the place of these; None where people decide."""
        if self.trusted is None or not actions or self.response == "audit":
            return [None] * len(actions)
        return self.trusted.edit(actions) if self.response == "edit" else self.trusted.act(actions)


def _handled(
    action: Action, score: Score, alarmed: bool, instead: str | Unscored | None, doer: Doer, audits: Audits
) -> Handled:
    if not alarmed:
        return Handled(action_id=action.id, executed=action.call, by="agent", audited=False, score=score)
    if isinstance(instead, str):
        return Handled(action_id=action.id, executed=instead, by=doer, audited=False, score=score)
    passes = audits.passes(action)
    return Handled(
        action_id=action.id,
        executed=action.call if passes else None,
        by="agent" if passes else "nobody",
        audited=passes is not None,
        score=score,
    )
