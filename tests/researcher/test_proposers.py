"""Proposers keep their contract, and a search follows what it is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import proposers
from superalign.contracts.research import Expression, Language, Outcome, Program, Proposal, Within
from superalign.researcher.language import Grammar
from superalign.researcher.proposers.evolution import EvolutionProposer
from superalign.researcher.proposers.genes import decisions, grown
from superalign.researcher.proposers.history import History
from superalign.researcher.proposers.random import RandomProposer
from superalign.testing import conformance
from superalign.testing.proposers import Toy, check_improves, check_proposer, formulas, instruments, makes_itself, play

SEARCHES = ("cma-es", "evolution", "optuna")


@pytest.mark.parametrize("name", ["random", *SEARCHES])
def test_each_makes_itself_so_that_the_conformance_suite_checks_it(name: str) -> None:
    assert makes_itself(proposers.factory(name)) and ("proposers", name) in conformance.registered()


@pytest.mark.parametrize("name", ["evolution"])  # optuna is slow: scripts/compare_proposers.py has measured it
def test_a_search_finds_more_than_chance_whether_large_or_small_is_better(name: str) -> None:
    check_improves(partial(proposers.make, name))


def test_random_draws_are_not_found_to_be_better_than_themselves() -> None:
    def other_draws(card: Any, seed: int) -> RandomProposer:
        return RandomProposer(card, seed + 1000)

    with pytest.raises(AssertionError, match="no more than random"):
        check_improves(other_draws, trials=20, seeds=10)


def told_the_wrong_way(make: Any) -> Any:
    """The same proposer, told that good is bad."""

    def made(card: Any, seed: int) -> Any:
        return make(card=card.model_copy(update={"larger_is_better": not card.larger_is_better}), seed=seed)

    return made


def test_a_search_for_the_wrong_end_of_the_metric_is_found_out() -> None:
    with pytest.raises(AssertionError, match="no more than random"):
        check_improves(told_the_wrong_way(partial(proposers.make, "evolution")), trials=40, seeds=10)


class Forgetful(RandomProposer):
    """Counts its asks only, so that a killed run begins anew."""

    def tell(self, outcome: Outcome) -> None:
        pass


class Unseeded(RandomProposer):
    seeds = count()

    def __init__(self, card: Any, seed: int = 0) -> None:
        super().__init__(card, next(self.seeds))


class Astray(RandomProposer):
    def ask(self) -> Proposal:
        return super().ask().model_copy(update={"solution": Expression(part="nothing")})


class Fragile(RandomProposer):
    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        assert not isinstance(outcome.result, Unscored)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Forgetful, "told a killed run's outcomes again"),
        (Unseeded, "same seed"),
        (Astray, "not of the problem's language"),
        (Fragile, None),
    ],
)
def test_a_broken_proposer_is_told_what_is_broken(broken: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_proposer(broken)


@pytest.mark.parametrize("name", ["random", *SEARCHES])
def test_proposals_that_are_asked_for_together_differ(name: str) -> None:
    proposer = proposers.make(name, card=instruments().card, seed=0)
    together = [proposer.ask().solution for _ in range(4)]
    assert len({one.model_dump_json() for one in together}) == 4


@pytest.mark.parametrize("name", ["random", *SEARCHES])
def test_another_seed_gives_other_proposals(name: str) -> None:
    one, other = (play(proposers.make(name, card=instruments().card, seed=s), instruments(), 3, 0) for s in (0, 1))
    assert [a.proposal.solution for a in one] != [b.proposal.solution for b in other]


@pytest.mark.parametrize("name", SEARCHES)
def test_what_was_told_decides_what_comes_next(name: str) -> None:
    """The same solutions with other results lead elsewhere."""
    toy = instruments()
    outcomes = play(RandomProposer(toy.card, 0), toy, 40, 0)
    following = []
    for sign in (1, -1):
        proposer = proposers.make(name, card=toy.card, seed=0)
        for outcome in outcomes:
            assert isinstance(outcome.result, float)
            proposer.tell(outcome.model_copy(update={"result": sign * outcome.result}))
        following.append([proposer.ask().solution for _ in range(5)])
    assert following[0] != following[1]


def test_outcomes_out_of_order_are_refused() -> None:
    [outcome] = play(RandomProposer(instruments().card), instruments(), 1, 0)
    history = History(instruments().card, 0)
    history.tell(outcome)
    with pytest.raises(InputError, match="in the order"):
        history.tell(outcome)


def test_decisions_lead_back_to_their_expression() -> None:
    for toy in (instruments(), formulas()):
        grammar = Grammar(toy.card.language)
        for outcome in play(RandomProposer(toy.card), toy, 30, 0):
            solution = outcome.proposal.solution
            assert isinstance(solution, Expression)
            answers: Iterator[Any] = iter(decisions(grammar, solution))

            def decide(gene: Any, answers: Iterator[Any] = answers) -> Any:
                asked, value = next(answers)
                assert asked == gene
                return value

            assert grown(grammar, decide) == solution and not list(answers)


def test_a_small_space_is_gone_through_without_repeats_as_far_as_it_reaches() -> None:
    toy = instruments()
    parts = (*toy.card.language.parts[:1], toy.card.language.parts[3])
    layers = parts[0].model_copy(update={"parameters": {"number": Within(low=0, high=5, whole=True)}})
    card = toy.card.model_copy(update={"language": Language(root="score", parts=(layers, parts[1]), depth=2)})
    small = Toy(card, toy.value)
    for name in ("random", *SEARCHES):
        solutions = [outcome.proposal.solution for outcome in play(proposers.make(name, card=card), small, 9, 0)]
        assert len({one.model_dump_json() for one in solutions}) >= 5, name


def outcome(number: int, text: str, result: float | Unscored, *behaviour: float) -> Outcome:
    from superalign.researcher.notation import read

    proposal = Proposal(solution=read(text), hypothesis="Why not.", proposer="a test")
    return Outcome(number=number, proposal=proposal, result=result, behaviour=behaviour)


def test_elites_are_the_best_of_each_cell() -> None:
    proposer = EvolutionProposer(instruments().card, startup=0)
    texts = [f"norm(layer(number={number}))" for number in range(5)]
    for number, (result, behaviour) in enumerate([(0.1, 0.0), (0.3, 0.01), (0.2, 0.02), (0.05, 1.0)]):
        proposer.tell(outcome(number, texts[number], result, behaviour))
    proposer.tell(outcome(4, texts[4], Unscored(reason="failed"), 0.5))
    assert {one.number for one in proposer.archive().values()} == {1, 3}
    assert set(proposer.ask().parents) <= {1, 3}


def test_without_behaviour_size_and_root_are_the_map() -> None:
    proposer = EvolutionProposer(instruments().card, startup=0)
    probe = 'probe(layer(number=1), shrink=0.1, kind="ridge")'
    for number, (text, result) in enumerate(
        [
            ("norm(layer(number=1))", 0.2),
            ("norm(layer(number=2))", 0.4),
            (probe, 0.1),
            ("norm(centred(layer(number=1)))", 0.0),
        ]
    ):
        proposer.tell(outcome(number, text, result))
    assert {one.number for one in proposer.archive().values()} == {1, 2, 3}


def test_cma_es_refuses_a_language_of_too_many_places() -> None:
    toy = formulas()
    card = toy.card.model_copy(update={"language": toy.card.language.model_copy(update={"depth": 12})})
    with pytest.raises(InputError, match="evolution"):
        proposers.make("cma-es", card=card)


SCRIPT = """
- {expression: "norm(layer(number=3))", hypothesis: The third layer knows.}
- program: |
    def solve(given):
        return given
"""


def test_a_script_is_followed_and_resumed(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    toy = instruments()
    make = partial(proposers.make, "scripted", card=toy.card, file=str(tmp_path / "script.yaml"))
    first, second = play(make(), toy, 2, 0)
    assert first.proposal.solution == Expression(
        part="norm", inputs=(Expression(part="layer", parameters={"number": 3}),)
    )
    assert first.proposal.hypothesis.startswith("The third layer knows.")
    assert isinstance(second.proposal.solution, Program) and "return given" in second.proposal.solution.source
    resumed = make()
    resumed.tell(first)
    assert resumed.ask().solution == second.proposal.solution
    with pytest.raises(InputError, match="2 solutions"):
        resumed.ask()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "can't be used"),
        ("expression: 1", "can't be used"),
        ("- {expresion: a()}", "can't be used"),
        ("- {expression: 'norm(layer(number=99))'}", "solution 1, root > norm, input 1"),
        ("- {expression: 'norm('}", "solution 1, character 6"),
        ("- {}", "solution 1"),
        ("- !!python/object/apply:os.getcwd []", "can't be used"),
        (None, "can't be read"),
    ],
)
def test_a_script_that_cannot_be_used_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "script.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as error:
        proposers.make("scripted", card=instruments().card, file=str(path))
    assert said in str(error.value) and str(path) in str(error.value)


def test_listing_imports_nothing_heavy() -> None:
    listed = """
import sys
from superalign.contracts.registry import proposers
assert all(map(proposers.describe, proposers.names()))
print({"torch", "optuna", "cmaes", "transformers", "inspect_ai", "openai"} & set(sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, timeout=300)
    assert found.stdout.strip() == "set()", found.stderr
