"""CMA-ES over a vector that spells every tree: a number for each place's part and for each of its parameters.

Hansen 2016, *The CMA Evolution Strategy* (arXiv 1604.00772), in the implementation of Nomura and Shibata 2024, *cmaes*
(arXiv 2402.01373). Restarts double the population (Auger and Hansen 2005).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.registry import proposers
from superalign.contracts.research import Expression, Outcome, ProblemCard, Proposal, Value
from superalign.researcher.language import Grammar
from superalign.researcher.proposers.genes import Gene, decisions, grown
from superalign.researcher.proposers.history import REDRAWS, History
from superalign.researcher.scale import at, place_of

FIRST_STEP = 0.3  # of the unit interval
MOST_NUMBERS = 1000  # a covariance matrix of more takes seconds


@proposers.register("cma-es")
class CmaEsProposer:
    """CMA-ES: moves and shapes a normal distribution over all decisions at once, generation by generation.

    Each decision is a number from 0 to 1, parts and options in equal shares of it. Numbers of places that a tree does
    not have change nothing.
    """

    name = "cma-es"

    def __init__(self, card: ProblemCard, seed: int = 0) -> None:
        """InputError for a language whose trees have too many places."""
        self._history = History(card, seed)
        self._columns = columns(self._history.grammar)
        if len(self._columns) > MOST_NUMBERS:
            raise InputError(
                f"To spell a tree takes {len(self._columns)} numbers or more, and CMA-ES can do with {MOST_NUMBERS}.",
                fix="Use the proposer optuna or evolution, or a language of less depth.",
            )
        self._search: Any = None
        self._generation: list[tuple[np.ndarray, float]] = []

    def ask(self) -> Proposal:
        """InputError where cmaes is not installed."""
        samples = self._samples(self._history.next_rng())
        return Proposal(
            solution=self._history.untried(lambda: self._expression(next(samples))),
            hypothesis=self._history.hypothesis("Drawn from a normal distribution that follows the better solutions."),
            proposer=self.name,
        )

    def tell(self, outcome: Outcome) -> None:
        self._history.tell(outcome)
        if (expression := self._history.expression(outcome)) is None:
            return
        self._generation.append((self._vector(expression), self._history.loss(outcome)))
        search = self._searching()
        if len(self._generation) == search.population_size:
            search.tell(self._generation)
            self._generation = []
            if search.should_stop():
                self._search = self._begun(2 * search.population_size)

    def _vector(self, expression: Expression) -> np.ndarray:
        """The sample that the expression came from, as `ask` drew it; of somebody else's expression, one that spells
        it.
        """
        samples = self._samples(self._history.rng_of_last())
        for _ in range(REDRAWS):
            vector = next(samples)
            if self._expression(vector) == expression:
                return vector
        for gene, value in decisions(self._history.grammar, expression):
            vector[self._columns[gene.place, gene.slot]] = place_of(gene.domain, value)
        return vector

    def _expression(self, vector: np.ndarray) -> Expression:
        def decide(gene: Gene) -> Value:
            return at(gene.domain, float(vector[self._columns[gene.place, gene.slot]]))

        return grown(self._history.grammar, decide)

    def _samples(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        search = self._searching()
        search.reseed_rng(int(rng.integers(2**31)))
        for _ in range(REDRAWS):
            yield search.ask()

    def _searching(self) -> Any:
        if self._search is None:
            self._search = self._begun(None)
        return self._search

    def _begun(self, population: int | None) -> Any:
        try:
            from cmaes import CMA  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise InputError(
                "The proposer 'cma-es' needs cmaes.", fix="Run: pip install 'superalign[research]'"
            ) from None
        numbers = len(self._columns)
        bounds = np.tile([0.0, 1.0], (numbers, 1))
        # One resampling: in many dimensions some number is always out of bounds, and is then set to the bound.
        return CMA(np.full(numbers, 0.5), FIRST_STEP, bounds, n_max_resampling=1, population_size=population)


def columns(grammar: Grammar) -> dict[tuple[tuple[int, ...], int], int]:
    """The number of the vector that holds each decision: slot 0 of a place its part, slot n its n-th parameter."""
    slots: dict[tuple[int, ...], int] = {}
    seen: set[tuple[str, tuple[int, ...]]] = set()
    open_places: list[tuple[str, tuple[int, ...]]] = [(grammar.language.root, ())]
    while open_places:
        gives, place = open_places.pop()
        if (gives, place) in seen:
            continue
        seen.add((gives, place))
        for part in grammar.fitting(gives, grammar.language.depth - len(place)):
            slots[place] = max(slots.get(place, 0), 1 + len(part.parameters))
            open_places += [(taken, (*place, i)) for i, taken in enumerate(part.takes)]
        if len(slots) > MOST_NUMBERS:
            break
    return {
        key: number
        for number, key in enumerate((place, slot) for place in sorted(slots) for slot in range(slots[place]))
    }
