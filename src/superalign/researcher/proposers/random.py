"""The control of every search: as many proposals, drawn without looking at what came of them."""

from __future__ import annotations

from superalign.contracts.registry import proposers
from superalign.contracts.research import Outcome, ProblemCard, Proposal
from superalign.researcher.proposers.history import History


@proposers.register("random")
class RandomProposer:
    """Draws solutions at random: the control that a search must beat at equal budget."""

    name = "random"

    def __init__(self, card: ProblemCard, seed: int = 0) -> None:
        self._history = History(card, seed)

    def ask(self) -> Proposal:
        rng = self._history.next_rng()
        return Proposal(
            solution=self._history.untried(lambda: self._history.grammar.draw(rng)),
            hypothesis=self._history.hypothesis(
                "Drawn at random, as a control: there is no reason why it should help."
            ),
            proposer=self.name,
        )

    def tell(self, outcome: Outcome) -> None:
        self._history.tell(outcome)
