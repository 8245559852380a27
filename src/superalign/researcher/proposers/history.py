"""What a proposer was told, and the chance that follows from it.

A proposal depends on the seed, on its place in the run and on the outcomes told so far, and on nothing else: numbers
are drawn from the seed and the place. So a proposer that is told the outcomes of a killed run goes on where it ended,
though it was never asked for what led to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, Outcome, ProblemCard, Program, Proposal
from superalign.researcher.language import Grammar

REDRAWS = 20  # of a solution that was tried before


class History:
    """The outcomes of a run, in order."""

    def __init__(self, card: ProblemCard, seed: int) -> None:
        """InputError where the card's language has no expressions, or its baseline is none of them."""
        self.card = card
        self.grammar = Grammar(card.language)
        self.grammar.check(card.baseline)
        self.seed = seed
        self.outcomes: list[Outcome] = []
        self._place = 0
        self._tried: set[str] = set()

    def tell(self, outcome: Outcome) -> None:
        """InputError for one that does not come after those before it."""
        if self.outcomes and outcome.number <= self.outcomes[-1].number:
            raise InputError(
                f"Outcome {outcome.number} was told after outcome {self.outcomes[-1].number}.",
                fix="Tell outcomes in the order of their numbers, each once.",
            )
        self.outcomes.append(outcome)
        self._place = max(self._place, len(self.outcomes))
        self._tried.add(_key(outcome.proposal))

    def next_rng(self) -> np.random.Generator:
        """The chance of the next proposal. Proposals that were asked for before any was told have different ones."""
        self._place += 1
        return np.random.default_rng([self.seed, self._place - 1])

    def rng_of_last(self) -> np.random.Generator:
        """The chance of the proposal whose outcome was told last, as when it was asked for."""
        return np.random.default_rng([self.seed, len(self.outcomes) - 1])

    def loss(self, outcome: Outcome) -> float:
        """Less is better whatever the problem's metric; infinite for what failed."""
        if isinstance(outcome.result, Unscored):
            return math.inf
        return -outcome.result if self.card.larger_is_better else outcome.result

    def best(self, most: int) -> list[Outcome]:
        """The best outcomes that have a result, best first; the earlier of two equal ones."""
        scored = [outcome for outcome in self.outcomes if not isinstance(outcome.result, Unscored)]
        return sorted(scored, key=self.loss)[:most]

    def expression(self, outcome: Outcome) -> Expression | None:
        """The outcome's solution, if it is an expression of the language: not all proposals of a run are ours."""
        solution = outcome.proposal.solution
        if not isinstance(solution, Expression):
            return None
        try:
            self.grammar.check(solution)
        except InputError:
            return None
        return solution

    def untried(self, propose: Callable[[], Expression]) -> Expression:
        """The first of several solutions that was not tried before, or the last of them."""
        for _ in range(REDRAWS):
            found = propose()
            if found.model_dump_json() not in self._tried:
                break
        return found

    def hypothesis(self, why: str) -> str:
        """Why it should help, and what would count as help."""
        card = self.card
        way = "rises" if card.larger_is_better else "falls"
        return (
            f"{why} It helps if the metric {way} by {card.smallest_gain:g} or more against the baseline: {card.metric}"[
                :4_000
            ]
        )


def _key(proposal: Proposal) -> str:
    solution = proposal.solution
    return solution.model_dump_json() if isinstance(solution, Expression | Program) else ""
