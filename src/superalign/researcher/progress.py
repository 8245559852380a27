"""How far a research run has come, for whoever watches: `research.json`, written anew after every trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, ProblemCard, Solution
from superalign.contracts.review import ResearchOutcome, ResearchProgress
from superalign.researcher.accept import Decision
from superalign.researcher.folder import ResearchRun, Side, Trial, best
from superalign.researcher.notation import written
from superalign.researcher.person import Word

State = Literal["running", "waiting for review", "paused", "done", "stopped", "failed"]


def progress_of(
    run: ResearchRun,
    card: ProblemCard,
    state: State,
    decision: Decision | Unscored | None = None,
    word: Word | None = None,
) -> ResearchProgress:
    """What `trials` say, the decision where there is one, and a person's word on it."""
    opened = run.ledger.entries("opening")
    accepted = opened[-1].body["found"] if word and word.state == "approved" else None
    says = decision.reason if isinstance(decision, Unscored) else word.says if word else ""
    return ResearchProgress(
        problem=card.name,
        metric=card.metric,
        larger_is_better=card.larger_is_better,
        proposer=run.settings.proposer.name,
        state=state,
        says=says,
        best=_best(run, card, "proposer"),
        baseline=_value(run.of("baseline")[:1]),  # the human solution that is recorded too comes after it
        random_best=_best(run, card, "control"),
        budget_used=round(sum(trial.outcome.seconds for trial in run.trials), 1),
        budget_total=run.settings.seconds,
        budget_unit="seconds",
        outcomes=tuple(
            ResearchOutcome(
                number=trial.outcome.number,
                parents=trial.outcome.proposal.parents,
                title=f"{trial.side}: {shown(trial.outcome.proposal.solution)}",
                value=trial.outcome.result,
                accepted=trial.outcome.number == accepted,
            )
            for trial in run.trials
        ),
    )


def shown(solution: Solution | Unscored) -> str:
    """A solution in a line."""
    match solution:
        case Expression():
            return written(solution)
        case Unscored():
            return "none"
        case _:
            return f"program of {len(solution.source)} characters"


def _best(run: ResearchRun, card: ProblemCard, side: Side) -> float | None:
    top = best(run.of(side), larger_is_better=card.larger_is_better)
    return _value([top] if top else [])


def _value(trials: Sequence[Trial]) -> float | None:
    """The score of the one trial there is."""
    return next((trial.outcome.result for trial in trials if isinstance(trial.outcome.result, float)), None)
