"""Evolution of typed trees with an archive of elites, one for each kind of behaviour.

Mouret and Clune 2015, *Illuminating search spaces by mapping elites* (arXiv 1504.04909). What differs: parents are
chosen by tournament among the elites, and where a problem has no map of behaviours, size and root part are the map.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from superalign.contracts.registry import proposers
from superalign.contracts.research import Expression, Outcome, ProblemCard, Proposal
from superalign.researcher.language import size
from superalign.researcher.proposers.history import History
from superalign.researcher.variation import crossed, mutated

BINS = 8  # of each dimension of behaviour, between the least and the largest seen
LARGEST = 12  # larger trees share a cell
CROSSED = 0.4  # of children; all others are mutated, and half of these as well
FRESH = 0.1  # of proposals, drawn at random


@proposers.register("evolution")
class EvolutionProposer:
    """Typed mutation and crossover of elites, the best solution of each kind of behaviour.

    The first `startup` proposals are random. A parent is the best of `tournament` elites, so that 1 is MAP-Elites as
    published and more press harder towards the best. What failed is never a parent.
    """

    name = "evolution"

    def __init__(self, card: ProblemCard, seed: int = 0, startup: int = 10, tournament: int = 3) -> None:
        self._history = History(card, seed)
        self._startup = startup
        self._tournament = tournament

    def ask(self) -> Proposal:
        rng = self._history.next_rng()
        elites = list(self.archive().values())
        begins = len(self._history.outcomes) < self._startup or not elites
        parents: list[Outcome] = []

        def child() -> Expression:
            parents.clear()
            if begins or rng.random() < FRESH:
                return self._history.grammar.draw(rng)
            return self._child(elites, parents, rng)

        solution = self._history.untried(child)
        why = "A change of" if len(parents) == 1 else "Pieces together of"
        numbers = " and ".join(str(parent.number) for parent in parents)
        return Proposal(
            solution=solution,
            hypothesis=self._history.hypothesis(
                f"{why} what did best among its kind: {numbers}." if parents else "Drawn at random, to look elsewhere."
            ),
            proposer=self.name,
            parents=tuple(dict.fromkeys(parent.number for parent in parents)),
        )

    def tell(self, outcome: Outcome) -> None:
        self._history.tell(outcome)

    def archive(self) -> dict[Hashable, Outcome]:
        """The best outcome of each cell of the map, the earlier of two equal ones."""
        found: dict[Hashable, Outcome] = {}
        scored = self._history.best(len(self._history.outcomes))
        places = _binned([outcome.behaviour for outcome in scored])
        for outcome, place in zip(scored, places, strict=True):
            if (expression := self._history.expression(outcome)) is not None:
                found.setdefault(place or (expression.part, min(size(expression), LARGEST)), outcome)
        return found

    def _child(self, elites: list[Outcome], parents: list[Outcome], rng: np.random.Generator) -> Expression:
        grammar = self._history.grammar
        parents.append(self._parent(elites, rng))
        child = _expression(parents[0])
        if rng.random() < CROSSED and len(elites) > 1:
            parents.append(self._parent([elite for elite in elites if elite is not parents[0]], rng))
            child = crossed(grammar, child, _expression(parents[1]), rng)
            if rng.random() < 0.5:
                return child
        return mutated(grammar, child, rng)

    def _parent(self, elites: list[Outcome], rng: np.random.Generator) -> Outcome:
        drawn = rng.integers(len(elites), size=self._tournament)
        return min([elites[int(i)] for i in drawn], key=self._history.loss)


def _expression(outcome: Outcome) -> Expression:
    solution = outcome.proposal.solution
    assert isinstance(solution, Expression)  # what is none is in no archive
    return solution


def _binned(behaviours: list[tuple[float, ...]]) -> list[tuple[int, ...]]:
    """The cell of each behaviour; empty for outcomes without one, or of another length than the first's."""
    length = len(behaviours[0]) if behaviours else 0
    known = np.array([one for one in behaviours if len(one) == length and length])
    if not len(known):
        return [() for _ in behaviours]
    low, width = known.min(axis=0), np.maximum(np.ptp(known, axis=0), 1e-12)
    return [
        tuple(int(cell) for cell in np.minimum(BINS * (np.array(one) - low) / width, BINS - 1))
        if len(one) == length
        else ()
        for one in behaviours
    ]
