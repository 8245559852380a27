"""Does a proposer keep its contract, and does a search find more than chance? For ours and for third parties'.

The toy problems have a typed language each and a value that is computed at once, with noise as of few samples.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import stats

from superalign.contracts.errors import InputError
from superalign.contracts.records import Interval, Unscored
from superalign.contracts.research import (
    Expression,
    Language,
    LanguagePart,
    OneOf,
    Outcome,
    ProblemCard,
    Program,
    Proposal,
    Proposer,
    Within,
)
from superalign.researcher.language import Grammar
from superalign.researcher.proposers.history import History
from superalign.researcher.proposers.random import RandomProposer
from superalign.researcher.variation import distance
from superalign.testing.require import require

Make = Callable[..., Proposer]  # called with `card` and `seed`
TRIALS = 24  # of each run that the contract is checked by
FAILS = 3  # every third of them


@dataclass(frozen=True)
class Toy:
    """A problem in which every expression has a true value, from 0 to 1, measured with normal noise."""

    card: ProblemCard
    value: Callable[[Expression], float]
    noise: float = 0.02

    @cached_property
    def grammar(self) -> Grammar:
        return Grammar(self.card.language)

    def outcome(self, number: int, proposal: Proposal, seed: int) -> Outcome:
        """The proposal's result; Unscored where there is nothing to measure. A metric to be small has 1 - value."""
        try:
            if not isinstance(proposal.solution, Expression):
                raise InputError("This is no expression.")
            self.grammar.check(proposal.solution)
        except InputError as error:
            return Outcome(number=number, proposal=proposal, result=Unscored(reason=str(error)))
        noise = self.noise * float(np.random.default_rng([seed, number, 2]).standard_normal())
        measured = self.value(proposal.solution) + noise
        result = measured if self.card.larger_is_better else 1 - measured
        return Outcome(number=number, proposal=proposal, result=result, samples=(result,))


def instruments(*, larger_is_better: bool = True) -> Toy:
    """Few parts and parameters that matter, as of an instrument that reads a model: kind, layer and regularization."""
    depths = Within(low=0, high=11, whole=True)
    parts = (
        LanguagePart(name="layer", says="Activations of a layer.", gives="vectors", parameters={"number": depths}),
        LanguagePart(name="centred", says="Without their mean.", gives="vectors", takes=("vectors",)),
        LanguagePart(
            name="probe",
            says="A linear probe.",
            gives="score",
            takes=("vectors",),
            parameters={"shrink": Within(low=1e-4, high=1e2, log=True), "kind": OneOf(options=("ridge", "logistic"))},
        ),
        LanguagePart(name="norm", says="Their length.", gives="score", takes=("vectors",)),
        LanguagePart(
            name="blend",
            says="A weighted mean of two scores.",
            gives="score",
            takes=("score", "score"),
            parameters={"weight": Within(low=0, high=1)},
        ),
    )
    return Toy(
        _card("instruments", Language(root="score", parts=parts, depth=4), "norm", larger_is_better), _instrument
    )


def formulas(*, larger_is_better: bool = True) -> Toy:
    """Deep trees with few parameters: how close does a formula come to a target on 20 points?"""
    real = Within(low=-2, high=2)
    parts = (
        LanguagePart(name="x", says="The argument.", gives="number"),
        LanguagePart(name="constant", says="A number.", gives="number", parameters={"value": real}),
        LanguagePart(name="add", says="A sum.", gives="number", takes=("number", "number")),
        LanguagePart(name="multiply", says="A product.", gives="number", takes=("number", "number")),
        LanguagePart(name="sine", says="The sine.", gives="number", takes=("number",)),
        LanguagePart(name="tanh", says="The hyperbolic tangent.", gives="number", takes=("number",)),
    )
    return Toy(_card("formulas", Language(root="number", parts=parts, depth=5), "x", larger_is_better), _closeness)


def play(proposer: Proposer, toy: Toy, trials: int, seed: int, *, failing: int = 0) -> list[Outcome]:
    """A run: ask, measure, tell. With `failing`, every so many outcomes are Unscored."""
    outcomes = []
    for number in range(trials):
        proposal = proposer.ask()
        outcome = toy.outcome(number, proposal, seed)
        if failing and number % failing == failing - 1:
            outcome = Outcome(number=number, proposal=proposal, result=Unscored(reason="it ran out of time"))
        proposer.tell(outcome)
        outcomes.append(outcome)
    return outcomes


def reached(toy: Toy, outcomes: list[Outcome]) -> float:
    """The true value of the solution that was measured best."""
    history = History(toy.card, 0)
    for outcome in outcomes:
        history.tell(outcome)
    [best] = history.best(1)
    return toy.value(best.proposal.solution) if isinstance(best.proposal.solution, Expression) else math.nan


def gain_over_random(make: Make, toy: Toy, trials: int, seeds: int) -> Interval:
    """How much more is reached than by random proposals in as many trials: mean over seeds, with Student's interval."""
    gains = [
        reached(toy, play(make(card=toy.card, seed=seed), toy, trials, seed))
        - reached(toy, play(RandomProposer(toy.card, seed), toy, trials, seed))
        for seed in range(seeds)
    ]
    mean, error = float(np.mean(gains)), float(stats.sem(gains))
    reach = float(stats.t.ppf(0.975, seeds - 1)) * error
    return Interval(value=mean, low=mean - reach, high=mean + reach)


def check_proposer(make: Make) -> None:
    """Valid solutions only; the same for the same seed and outcomes; goes on when it is told a killed run's outcomes
    again, without having been asked; survives outcomes that failed and solutions of others.
    """
    for toy in (instruments(), formulas(larger_is_better=False)):
        proposer = make(card=toy.card, seed=0)
        require(isinstance(proposer, Proposer), "it lacks a member of the Proposer protocol")
        require(bool(proposer.name.strip()), "it must have a name")
        outcomes = play(proposer, toy, TRIALS, seed=0, failing=FAILS)
        for outcome in outcomes:
            _check_proposal(outcome, toy)
        again = play(make(card=toy.card, seed=0), toy, TRIALS, seed=0, failing=FAILS)
        require(_solutions(again) == _solutions(outcomes), "the same seed and outcomes must give the same proposals")
        for killed in (1, TRIALS // 2, TRIALS):
            resumed = make(card=toy.card, seed=0)
            for outcome in outcomes[:killed]:
                resumed.tell(Outcome.model_validate_json(outcome.model_dump_json()))  # as it comes back from disk
            following = outcomes[killed].proposal.solution if killed < TRIALS else proposer.ask().solution
            require(
                resumed.ask().solution == following,
                "told a killed run's outcomes again, it must go on where that ended",
            )
    _check_others(make, instruments())


def makes_itself(factory: Make) -> bool:
    """Whether a proposer needs a card and a seed alone."""
    needed = [one for one in inspect.signature(factory).parameters.values() if one.default is one.empty]
    return {one.name for one in needed if one.kind is not one.VAR_KEYWORD} <= {"card", "seed"}


def check_improves(make: Make, *, trials: int = 60, seeds: int = 20) -> None:
    """Finds more than as many random proposals, on `instruments`: the interval of its gain lies above 0, both where the
    metric is to be large and where it is to be small.
    """
    for larger in (True, False):
        gain = gain_over_random(make, instruments(larger_is_better=larger), trials, seeds)
        wanted = "large" if larger else "small"
        found = f"the gain is {gain.value:.3f} [{gain.low:.3f}, {gain.high:.3f}]"
        require(gain.low > 0, f"where the metric is to be {wanted}, it finds no more than random proposals: {found}")


def _check_proposal(outcome: Outcome, toy: Toy) -> None:
    proposal = outcome.proposal
    require(isinstance(proposal, Proposal), "ask must return a Proposal")
    require(bool(proposal.hypothesis.strip()), "a proposal must say why it should help")
    require(all(0 <= parent < outcome.number for parent in proposal.parents), "parents are numbers of earlier outcomes")
    if isinstance(proposal.solution, Expression):
        try:
            toy.grammar.check(proposal.solution)
        except Exception as error:
            raise AssertionError(f"its solution is not of the problem's language: {error}") from None


def _check_others(make: Make, toy: Toy) -> None:
    """Others may have proposed some, as in a hybrid, and all may have failed."""
    foreign = (
        toy.card.baseline,
        Program(source="def solve(given):\n    return given"),
        Expression(part="nobody_has_this"),
        Unscored(reason="the model did not answer"),
    )
    for results in ([0.5], [Unscored(reason="it ran out of time")]):
        proposer = make(card=toy.card, seed=1)
        for number in range(4 * len(foreign)):
            proposal = Proposal(solution=foreign[number % len(foreign)], hypothesis="Another's.", proposer="another")
            proposer.tell(Outcome(number=number, proposal=proposal, result=results[0]))
        _check_proposal(Outcome(number=16, proposal=proposer.ask(), result=0.0), toy)


def _solutions(outcomes: list[Outcome]) -> list[object]:
    return [outcome.proposal.solution for outcome in outcomes]


def _instrument(found: Expression) -> float:
    """Best is a blend of two logistic probes, shrunk by about 0.1, on centred activations near layers 7 and 3."""
    if found.part == "norm":
        return 0.3 + 0.1 * _vectors(found.inputs[0])
    if found.part == "probe":
        shrink = math.exp(-((math.log10(float(found.parameters["shrink"])) + 1) ** 2) / 2)
        kind = 1.0 if found.parameters["kind"] == "logistic" else 0.8
        return 0.4 + 0.4 * shrink * kind * _vectors(found.inputs[0])
    one, other = (_instrument(below) for below in found.inputs)
    weight = float(found.parameters["weight"])
    apart = min(distance(_grammar(), *found.inputs), 2.0) / 2
    return weight * one + (1 - weight) * other + 0.6 * weight * (1 - weight) * apart * min(one, other)


@cache
def _grammar() -> Grammar:
    return Grammar(instruments().card.language)


def _vectors(found: Expression) -> float:
    if found.part == "centred":
        return min(1.0, 0.15 + _vectors(found.inputs[0]) * 0.85) if found.inputs[0].part == "layer" else 0.2
    return 0.9 * math.exp(-(((int(found.parameters["number"]) - 7) / 3) ** 2))


POINTS = np.linspace(-2, 2, 20)
TARGET = POINTS * np.sin(1.5 * POINTS) + 0.5


def _closeness(found: Expression) -> float:
    error = float(np.sqrt(np.mean((np.clip(_formula(found), -1e3, 1e3) - TARGET) ** 2)))
    return 1 / (1 + error)


def _formula(found: Expression) -> np.ndarray:
    below = [_formula(one) for one in found.inputs]
    match found.part:
        case "x":
            return np.asarray(POINTS)
        case "constant":
            return np.full_like(POINTS, float(found.parameters["value"]))
        case "add":
            return np.asarray(below[0] + below[1])
        case "multiply":
            return np.asarray(np.clip(below[0] * below[1], -1e6, 1e6))
        case "sine":
            return np.asarray(np.sin(below[0]))
    return np.asarray(np.tanh(below[0]))


def _card(name: str, language: Language, root: str, larger_is_better: bool) -> ProblemCard:
    layer = Expression(part="layer", parameters={"number": 0})
    return ProblemCard(
        name=name,
        title=f"A toy problem: {name}",
        statement="Find the expression with the best value.",
        metric="A value from 0 to 1.",
        larger_is_better=larger_is_better,
        lowest=0,
        highest=1,
        given={"points": "(20,) arguments"},
        answer={"values": "(20,) values"},
        language=language,
        baseline=Expression(part=root, inputs=(layer,) if root == "norm" else ()),
        smallest_gain=0.01,
    )
