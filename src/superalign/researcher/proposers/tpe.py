"""Tree-structured Parzen estimators over the tree of a solution, by Optuna.

Bergstra et al. 2011; Watanabe 2023, *Tree-Structured Parzen Estimator* (arXiv 2304.11127).
"""

from __future__ import annotations

import json
from math import ceil, floor, isinf
from typing import TYPE_CHECKING, Any

from superalign.contracts.errors import InputError
from superalign.contracts.registry import proposers
from superalign.contracts.research import Expression, OneOf, Outcome, ProblemCard, Proposal, Value
from superalign.researcher.proposers.genes import Gene, decisions, grown
from superalign.researcher.proposers.history import History

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import Trial


@proposers.register("optuna")
class TpeProposer:
    """Optuna's tree-structured Parzen estimator: each decision is drawn where good solutions decided and bad ones did
    not.

    The first `startup` proposals are random. A decision is learnt from the trials that came to it.
    """

    name = "optuna"

    def __init__(self, card: ProblemCard, seed: int = 0, startup: int = 10) -> None:
        self._history = History(card, seed)
        self._startup = startup
        self._told: Study | None = None

    def ask(self) -> Proposal:
        """InputError where Optuna is not installed."""
        optuna, study, rng = _optuna(), self._study(), self._history.next_rng()
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=self._startup, seed=int(rng.integers(2**31)))

        def draw() -> Expression:
            trial = study.ask()
            found = grown(self._history.grammar, Suggestions(trial))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)  # only what is told counts, whoever proposed it
            return found

        return Proposal(
            solution=self._history.untried(draw),
            hypothesis=self._history.hypothesis("Near the better of the solutions so far, decision by decision."),
            proposer=self.name,
        )

    def tell(self, outcome: Outcome) -> None:
        self._history.tell(outcome)
        if (expression := self._history.expression(outcome)) is None:
            return
        optuna = _optuna()
        made = decisions(self._history.grammar, expression)
        loss = self._history.loss(outcome)
        failed = isinf(loss)
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
            value=None if failed else loss,
            params={gene.name: _as_told(gene, value) for gene, value in made},
            distributions={gene.name: _distribution(gene) for gene, _ in made},
        )
        self._study().add_trial(trial)

    def _study(self) -> Study:
        if self._told is None:
            self._told = _optuna().create_study()
        return self._told


class Suggestions:
    """Decisions of one of Optuna's trials."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def __call__(self, gene: Gene) -> Value:
        domain = gene.domain
        if isinstance(domain, OneOf):
            labels = _labels(domain)
            return domain.options[labels.index(self._trial.suggest_categorical(gene.name, labels))]
        if domain.whole:
            return self._trial.suggest_int(gene.name, ceil(domain.low), floor(domain.high), log=domain.log)
        return self._trial.suggest_float(gene.name, domain.low, domain.high, log=domain.log)


def _distribution(gene: Gene) -> BaseDistribution:
    """The same as a trial's suggestions have it."""
    distributions, domain = _optuna().distributions, gene.domain
    found: BaseDistribution
    if isinstance(domain, OneOf):
        found = distributions.CategoricalDistribution(_labels(domain))
    elif domain.whole:
        found = distributions.IntDistribution(ceil(domain.low), floor(domain.high), log=domain.log)
    else:
        found = distributions.FloatDistribution(domain.low, domain.high, log=domain.log)
    return found


def _as_told(gene: Gene, value: Value) -> Value:
    return json.dumps(value) if isinstance(gene.domain, OneOf) else value


def _labels(domain: OneOf) -> tuple[str, ...]:
    """As text: to Optuna, 1 and true would be the same choice."""
    return tuple(json.dumps(option) for option in domain.options)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("The proposer 'optuna' needs Optuna.", fix="Run: pip install 'superalign[research]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
