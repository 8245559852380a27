"""Expressions as numbers by name, for optimizers that know nothing of trees.

Each place of a tree has a choice, of the part that stands there, and parameters. A gene is named by its place, so that
what is learnt of a place holds whatever stands above it; choices are named by their type as well, since another type
has other parts, and parameters by their part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from superalign.contracts.research import Domain, Expression, LanguagePart, OneOf, Value
from superalign.researcher.language import Grammar


@dataclass(frozen=True)
class Gene:
    """One decision on the way down: the part at `place` (slot 0), or the n-th parameter of that part (slot n)."""

    name: str
    domain: Domain
    place: tuple[int, ...]
    slot: int


Decide = Callable[[Gene], Value]


def grown(grammar: Grammar, decide: Decide) -> Expression:
    """The expression that these decisions lead to, the root's first. `decide` is asked where there are two or more."""
    return _grown(grammar, decide, grammar.language.root, grammar.language.depth, ())


def decisions(grammar: Grammar, expression: Expression) -> list[tuple[Gene, Value]]:
    """The decisions that lead to this expression, in the order in which `grown` asks for them."""
    return list(_decisions(grammar, expression, grammar.language.root, grammar.language.depth, ()))


def _grown(grammar: Grammar, decide: Decide, gives: str, depth: int, place: tuple[int, ...]) -> Expression:
    gene = _choice(grammar, gives, depth, place)
    part = grammar.parts[str(decide(gene) if _open(gene) else _only(gene))]
    parameters = {name: decide(gene) if _open(gene) else _only(gene) for name, gene in _parameters(part, place).items()}
    below = (_grown(grammar, decide, taken, depth - 1, (*place, i)) for i, taken in enumerate(part.takes))
    return Expression(part=part.name, parameters=parameters, inputs=tuple(below))


def _decisions(
    grammar: Grammar, found: Expression, gives: str, depth: int, place: tuple[int, ...]
) -> Iterator[tuple[Gene, Value]]:
    part, choice = grammar.parts[found.part], _choice(grammar, gives, depth, place)
    genes = {choice: part.name} | {gene: found.parameters[name] for name, gene in _parameters(part, place).items()}
    yield from ((gene, value) for gene, value in genes.items() if _open(gene))
    for i, (taken, below) in enumerate(zip(part.takes, found.inputs, strict=True)):
        yield from _decisions(grammar, below, taken, depth - 1, (*place, i))


def _choice(grammar: Grammar, gives: str, depth: int, place: tuple[int, ...]) -> Gene:
    parts = tuple(part.name for part in grammar.fitting(gives, depth))
    return Gene(f"{_spelt(place)}:{gives}", OneOf(options=parts), place, 0)


def _parameters(part: LanguagePart, place: tuple[int, ...]) -> dict[str, Gene]:
    return {
        name: Gene(f"{_spelt(place)}:{part.gives}/{part.name}.{name}", domain, place, slot)
        for slot, (name, domain) in enumerate(part.parameters.items(), 1)
    }


def _spelt(place: tuple[int, ...]) -> str:
    return ".".join(["root", *map(str, place)])


def _open(gene: Gene) -> bool:
    return not isinstance(gene.domain, OneOf) or len(gene.domain.options) > 1


def _only(gene: Gene) -> Value:
    assert isinstance(gene.domain, OneOf)
    return gene.domain.options[0]
