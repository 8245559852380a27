"""An optimizer proposes, and a language model overrides a share of its proposals.

After Centaur, of Ferreira et al. 2026, *Can LLMs Beat Classical Hyperparameter Optimization Algorithms?*
(arXiv 2603.24647), where a small model sufficed. What differs: it is shown the optimizer's proposal, not its state.
"""

from __future__ import annotations

from typing import Any

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import proposers
from superalign.contracts.research import Expression, Outcome, ProblemCard, Proposal, Proposer
from superalign.researcher.proposers.history import History
from superalign.researcher.proposers.llm import LlmProposer


@proposers.register("hybrid")
class HybridProposer:
    """An optimizer proposes; a language model, which is shown its proposal, overrides a `share` of the trials.

    The optimizer learns from the model's solutions too, as far as they are of the language. Where the model fails, the
    optimizer's proposal stands, and says so.
    """

    name = "hybrid"

    def __init__(
        self,
        card: ProblemCard,
        seed: int = 0,
        *,
        model: str,
        optimizer: str = "optuna",
        share: float = 0.3,
        **options: Any,
    ) -> None:
        """`options` are those of the proposer `llm`."""
        if not 0 <= share <= 1:
            raise InputError(f"A share of {share:g} of the trials is none.", fix="Give a number from 0 to 1.")
        self._history = History(card, seed)
        self._share = share
        self._optimizer: Proposer = proposers.make(optimizer, card=card, seed=seed)
        self._model = LlmProposer(card, seed, model=model, **options)

    def ask(self) -> Proposal:
        """ModelError when the endpoint knows neither the key nor the model."""
        overrides = self._history.next_rng().random() < self._share
        proposal = self._optimizer.ask()
        if not overrides:
            return _by(proposal, proposal.proposer)
        suggested = proposal.solution if isinstance(proposal.solution, Expression) else None
        override = self._model.propose(suggested)
        if not isinstance(override.solution, Unscored):
            return _by(override, override.proposer)
        said = f"{proposal.hypothesis[:3_000]} It was to be overridden, but {override.solution.reason}"[:4_000]
        kept = proposal.model_copy(update={"hypothesis": said, "answers": override.answers, "cost": override.cost})
        return _by(kept, f"{proposal.proposer}, as {override.proposer} failed")

    def tell(self, outcome: Outcome) -> None:
        for told in (self._history, self._optimizer, self._model):
            told.tell(outcome)


def _by(proposal: Proposal, who: str) -> Proposal:
    return proposal.model_copy(update={"proposer": f"{HybridProposer.name} ({who})"})
