"""What a proposal passes before it runs: the language's own rules, monitors, and, where the dial says so, a person.

The dial goes from approving every step to judging outcomes only. What no person has approved by the deadline, or within
the reviewer's minutes, is denied; so is everything that needs a person where nobody reviews.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from superalign.contracts.capability import Limit
from superalign.contracts.control import Monitor, Opinion
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, ProblemCard, Proposal
from superalign.contracts.review import MonitorOpinion
from superalign.control.approval import ReviewQueue, needs_human
from superalign.control.monitors import rate
from superalign.control.source_monitor import SourceMonitor
from superalign.control.text_monitor import TextMonitor
from superalign.researcher.folder import ResearchRun, Side
from superalign.researcher.language import Grammar
from superalign.researcher.notation import written

MONITORS: tuple[Monitor, ...] = (SourceMonitor(), TextMonitor())
SUSPICIOUS = 0.5
SECONDS_BETWEEN_LOOKS = 0.5


class Gate:
    """Asks everybody whom the run's settings name, and keeps what they say in its ledger."""

    def __init__(self, run: ResearchRun, card: ProblemCard, queue: ReviewQueue | None = None) -> None:
        self.run, self.card, self.queue = run, card, queue
        self.grammar = Grammar(card.language)

    def denied(self, number: int, side: Side, proposal: Proposal) -> str | None:
        """Why a proposal may not run, or None."""
        if isinstance(proposal.solution, Unscored):
            return proposal.solution.reason
        if isinstance(proposal.solution, Expression):
            try:
                self.grammar.check(proposal.solution)
            except InputError as error:
                return f"it is no solution in the problem's language: {error}"
        opinions = rate(proposal, MONITORS)
        self.run.ledger.append(
            "opinions", {"number": number, "opinions": [opinion.model_dump(mode="json") for opinion in opinions]}
        )
        if not needs_human(self.run.settings.oversight, "proposal", proposal.solution, opinions, SUSPICIOUS):
            return None
        solution = proposal.solution
        text = written(solution) if isinstance(solution, Expression) else solution.source
        shown = tuple(map(shown_opinion, MONITORS, opinions))
        title = f"Run {side} {number} of {self.card.name}, by {proposal.proposer}?"
        return self._decided(f"{side} {number}", title, proposal.hypothesis, as_added(text), shown)

    def denied_ceiling(self, score: float, reference: float) -> str | None:
        """Whether a person lets the run go on above the recorded human solution: why not, or None."""
        body = f"Its best scores {score:.3f} on development samples; the recorded human solution {reference:.3f}."
        denied = self._decided("ceiling", "Go on above the recorded human solution?", body)
        return f"it is above the recorded human solution, and {denied}" if denied else None

    def denied_capability(self, limits: Sequence[Limit]) -> str | None:
        """Whether a person lets a proposer work whose capability is not known to be within limits: why not, or None."""
        body = " ".join(f"{limit.environment}, at most {limit.at_most:g}: {limit.says}." for limit in limits)
        denied = self._decided("capability", "Go on with a proposer that is not known to be within its limits?", body)
        return f"its proposer is not known to be within its limits, and {denied}" if denied else None

    def _decided(
        self, key: str, title: str, body: str, diff: str = "", opinions: tuple[MonitorOpinion, ...] = ()
    ) -> str | None:
        """Wait for a person until the deadline. The ledger keeps the end of it, so that nobody is asked twice."""
        known = [entry.body for entry in self.run.ledger.entries("approval") if entry.body["asked"] == key]
        if known:
            return known[0]["denied"]  # type: ignore[no-any-return]
        seconds = self.run.settings.deadline_seconds
        if self.queue is None or seconds == 0:
            denied: str | None = "it needs a person's approval, and nobody reviews (--deadline gives them time)"
        else:
            cost = f"up to {self.card.seconds:.0f} s of the sandbox"
            denied = self._waited(
                self.queue, self.queue.submit(key, title, body, opinions, diff=diff, cost=cost, seconds=seconds)
            )
        self.run.ledger.append("approval", {"asked": key, "denied": denied})
        return denied

    def _waited(self, queue: ReviewQueue, number: int) -> str | None:
        while (item := queue.get(number)).state == "pending":
            if self.run.asked_to_stop():
                return "the run was stopped before anybody approved it"
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self.run.ledger.append("review", item.model_dump(mode="json"))
        if item.state == "approved":
            return None
        says = {"rejected": "a person rejected it", "asked": "a person asked for more", "expired": "nobody approved it"}
        return f"{says[item.state]}: {item.reason}"


def as_added(text: str) -> str:
    """The solution as a difference to nothing, for the reviewer's page."""
    lines = text.splitlines()
    return "\n".join(["--- nothing", "+++ proposed", f"@@ -0,0 +1,{len(lines)} @@", *(f"+{line}" for line in lines)])


def shown_opinion(monitor: Monitor, opinion: Opinion | Unscored) -> MonitorOpinion:
    if isinstance(opinion, Unscored):
        return MonitorOpinion(monitor=monitor.name, suspicion=opinion)
    return MonitorOpinion(
        monitor=opinion.monitor, suspicion=opinion.suspicion, reasons=(*opinion.reasons, *opinion.evidence)
    )
