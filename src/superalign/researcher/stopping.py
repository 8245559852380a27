"""When the researcher stops: a person says so, time or patience is spent, or the proposer or its work is too good."""

from __future__ import annotations

from superalign.contracts.records import Unscored
from superalign.contracts.research import ProblemCard
from superalign.researcher.folder import ResearchRun, Settings, best
from superalign.researcher.gate import Gate


class Stopping:
    """The rules of one run. They read what was kept, so a run that was killed and goes on stops where it would have."""

    def __init__(self, settings: Settings, card: ProblemCard) -> None:
        self.settings, self.card = settings, card
        self.sign = 1 if card.larger_is_better else -1

    def reason(self, run: ResearchRun, gate: Gate) -> str | None:
        """Why to stop now, or None."""
        if run.asked_to_stop():
            return "a person asked it to stop"
        if (exceeded := [limit for limit in self.settings.capability if limit.holds is not True]) and (
            denied := gate.denied_capability(exceeded)
        ):
            return denied
        if sum(trial.outcome.seconds for trial in run.trials) >= self.settings.seconds and run.of("proposer"):
            return "the budget of seconds is spent"
        tried = run.of("proposer")
        if self.settings.trials and len(run.of("control")) >= self.settings.trials:
            return f"{self.settings.trials} proposals were tried"
        top = best(tried, larger_is_better=self.card.larger_is_better)
        if top is None:
            lost = self.settings.patience and len(tried) >= self.settings.patience
            return "patience is spent: no proposal could be scored" if lost else None
        score = self.sign * float(top.outcome.result)  # type: ignore[arg-type]  # only scored trials are best
        if self.settings.target is not None and score >= self.sign * self.settings.target:
            return "the target is reached"
        if self.settings.patience and len(tried) - 1 - tried.index(top) >= self.settings.patience:
            return f"none of the last {self.settings.patience} proposals was better"
        return self._above_human(run, gate, score)

    def _above_human(self, run: ResearchRun, gate: Gate, score: float) -> str | None:
        """The ceiling: as good as the recorded human solution and no better, unless a person agrees."""
        if self.settings.above_reference or self.card.reference is None:
            return None
        reference = next((t for t in run.of("baseline") if t.outcome.proposal.solution == self.card.reference), None)
        if reference is None or isinstance(reference.outcome.result, Unscored):
            return None
        if score <= self.sign * reference.outcome.result + self.card.smallest_gain:
            return None
        return gate.denied_ceiling(score * self.sign, reference.outcome.result)
