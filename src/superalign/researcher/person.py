"""A person's word on an accepted result. The criteria accept; only a person makes it the project's.

A run doesn't wait for it: it ends, the result stays in the review queue, and whoever builds the write-up again finds
what was decided.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from superalign.contracts.control import Opinion
from superalign.contracts.records import Record, Unscored
from superalign.contracts.research import Expression, ProblemCard, Solution
from superalign.contracts.review import ReviewItem
from superalign.control.approval import ReviewQueue
from superalign.control.monitors import rate
from superalign.researcher.accept import Decision, Gain
from superalign.researcher.folder import ResearchRun, Trial
from superalign.researcher.gate import MONITORS, as_added, shown_opinion
from superalign.researcher.notation import written

RESULT = "result"
SECONDS = 30 * 24 * 3600.0  # a result may wait for so long; a proposal keeps a run waiting, and has its own deadline


class Word(Record):
    """What a person says of a result."""

    state: Literal["approved", "denied", "waiting"]
    says: str = Field(description="The reason, or whom it waits for.")


def word_on(run: ResearchRun, card: ProblemCard, decision: Decision, queue: ReviewQueue) -> Word:
    """Ask for a person's word, once, and find what was said. What was decided is entered into the run's ledger."""
    asked = run.ledger.entries("asked")
    number = asked[-1].body["item"] if asked else _submitted(run, card, decision, queue)
    item = queue.get(number)
    if item.state == "pending":
        return Word(state="waiting", says=f"it waits for a person: superalign research review {number}")
    if not any(entry.body["kind"] == RESULT for entry in run.ledger.entries("review")):
        run.ledger.append("review", item.model_dump(mode="json"))
    return Word(state="approved" if item.state == "approved" else "denied", says=_reason(item))


def _submitted(run: ResearchRun, card: ProblemCard, decision: Decision, queue: ReviewQueue) -> int:
    opened = run.ledger.entries("opening")[-1].body
    trial = next(trial for trial in run.trials if trial.outcome.number == opened["found"])
    solution, opinions = _solution(trial)
    number = queue.submit(
        RESULT,
        f"Take over what {run.settings.proposer.name} found for {card.name}?",
        "\n".join(
            [f"Run: {run.folder.name}", *_gains(decision), "Its report has what was tried and what it rests on."]
        ),
        [shown_opinion(monitor, opinion) for monitor, opinion in zip(MONITORS, opinions, strict=True)],
        diff=as_added(written(solution) if isinstance(solution, Expression) else solution.source),
        seconds=SECONDS,
    )
    run.ledger.append("asked", {"item": number})
    return number


def _solution(trial: Trial) -> tuple[Solution, list[Opinion | Unscored]]:
    proposal = trial.outcome.proposal
    assert not isinstance(proposal.solution, Unscored)  # it was scored
    return proposal.solution, rate(proposal, MONITORS)


def _gains(decision: Decision) -> list[str]:
    named = (("the baseline", decision.over_baseline), ("random search", decision.over_control))
    return [
        f"On final samples, over {name}: {gain.mean:+.3f}, at least {gain.low:+.3f}."
        for name, gain in named
        if isinstance(gain, Gain)
    ] + [f"But {reason}." for reason in decision.reasons]


def _reason(item: ReviewItem) -> str:
    says = {"approved": "approved", "rejected": "rejected", "asked": "sent back with a question", "expired": "denied"}
    return f"{says[item.state]} by {item.reviewer}: {item.reason}"
