"""What a proposal passes before it runs: the language's own rules, monitors, and, where the dial says so, a person.

The dial goes from approving every step to judging outcomes only. What no person has approved by the deadline, or within
the reviewer's minutes, is denied; so is everything that needs a person where nobody reviews.
"""

from __future__ import annotations

import time
from typing import Protocol

from superalign.contracts.control import Monitor, Opinion
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, ProblemCard, Program, Proposal
from superalign.contracts.review import MonitorOpinion, ReviewItem
from superalign.control.monitors import rate, suspicion
from superalign.control.source_monitor import SourceMonitor
from superalign.control.text_monitor import TextMonitor
from superalign.researcher.folder import ResearchRun, Side
from superalign.researcher.language import Grammar
from superalign.researcher.notation import written

MONITORS: tuple[Monitor, ...] = (SourceMonitor(), TextMonitor())
SUSPICIOUS = 0.5
SECONDS_BETWEEN_LOOKS = 0.5


class Queue(Protocol):
    """As much of the review queue as a gate needs."""

    @property
    def minutes_left(self) -> float: ...

    def put(self, item: ReviewItem) -> int:
        """Enter an item, numbered anew; returns its number."""
        ...

    def get(self, number: int) -> ReviewItem: ...


class Gate:
    """Asks everybody whom the run's settings name, and keeps what they say in its ledger."""

    def __init__(self, run: ResearchRun, card: ProblemCard, queue: Queue | None = None) -> None:
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
        suspected = suspicion(opinions)
        self.run.ledger.append(
            "opinions", {"number": number, "opinions": [opinion.model_dump(mode="json") for opinion in opinions]}
        )
        if not self._needs_person(proposal, suspected):
            return None
        return self._asked(f"{side} {number}", proposal, opinions)

    def denied_ceiling(self, score: float, reference: float) -> str | None:
        """Whether a person lets the run go on above the recorded human solution: why not, or None."""
        body = f"Its best scores {score:.3f} on development samples; the recorded human solution {reference:.3f}."
        item = self._item("Go on above the recorded human solution?", body, ())
        denied = self._decided("ceiling", item)
        return f"it is above the recorded human solution, and {denied}" if denied else None

    def _needs_person(self, proposal: Proposal, suspected: float) -> bool:
        match self.run.settings.oversight:
            case "every-step":
                return True
            case "suspicious":
                return suspected >= SUSPICIOUS or isinstance(proposal.solution, Program)
            case "outcomes":
                return False

    def _asked(self, key: str, proposal: Proposal, opinions: list[Opinion | Unscored]) -> str | None:
        solution = proposal.solution
        text = written(solution) if isinstance(solution, Expression) else solution.source  # type: ignore[union-attr]
        item = self._item(f"Run {key} by {proposal.proposer}?", f"{proposal.hypothesis}\n\n{text}", opinions)
        return self._decided(key, item)

    def _item(self, title: str, body: str, opinions: object) -> ReviewItem:
        now = time.time()
        return ReviewItem(
            number=0,
            kind="proposal",
            title=title,
            body=body,
            opinions=tuple(_shown(opinion) for opinion in opinions),  # type: ignore[attr-defined]
            cost=f"up to {self.card.seconds:.0f} s of the sandbox",
            asked_at=now,
            deadline=now + self.run.settings.deadline_seconds,
        )

    def _decided(self, key: str, item: ReviewItem) -> str | None:
        """Wait for a person until the deadline. The ledger keeps the end of it, so that nobody is asked twice."""
        known = [entry.body for entry in self.run.ledger.entries("approval") if entry.body["asked"] == key]
        if known:
            return known[0]["denied"]  # type: ignore[no-any-return]
        if self.queue is None or self.run.settings.deadline_seconds == 0:
            denied: str | None = "it needs a person's approval, and nobody reviews (--deadline gives them time)"
        else:
            denied = self._waited(self.queue, self.queue.put(item))
        self.run.ledger.append("approval", {"asked": key, "denied": denied})
        return denied

    def _waited(self, queue: Queue, number: int) -> str | None:
        while (item := queue.get(number)).state == "pending":
            if self.run.asked_to_stop():
                return "the run was stopped before anybody approved it"
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if item.state == "approved":
            return None
        says = {"rejected": "a person rejected it", "asked": "a person asked for more", "expired": "nobody approved it"}
        return f"{says[item.state]}{': ' + item.reason if item.reason else ''}"


def _shown(opinion: Opinion | Unscored) -> MonitorOpinion:
    if isinstance(opinion, Unscored):
        return MonitorOpinion(monitor="?", suspicion=opinion)
    return MonitorOpinion(monitor=opinion.monitor, suspicion=opinion.suspicion, reasons=opinion.reasons)
