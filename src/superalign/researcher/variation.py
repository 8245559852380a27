"""Neighbours of an expression: typed mutation and crossover, and how far two expressions lie apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from superalign.contracts.research import Expression, LanguagePart
from superalign.researcher.language import Grammar, put, size
from superalign.researcher.scale import choices, drawn, place_of, stepped

PATIENCE = 20  # draws before a change that changes nothing is given up


def mutated(grammar: Grammar, expression: Expression, rng: np.random.Generator) -> Expression:
    """The expression with one change: a parameter takes a step on its scale, a part gives way to one that takes and
    gives the same, or all below a place is drawn anew. The same only where no change was found.
    """
    moves = (_stepped, _swapped, _regrown)
    for _ in range(PATIENCE):
        move = moves[int(rng.integers(len(moves)))]
        changed = list(move(grammar, expression, rng))
        if changed and changed[0] != expression:
            return changed[0]
    return expression


def crossed(grammar: Grammar, one: Expression, other: Expression, rng: np.random.Generator) -> Expression:
    """`one` with a piece of `other` in place of a piece of the same type. Where no other piece fits, `one` as it is."""
    pieces = [(gives, _height(piece), piece) for _, gives, _, piece in grammar.places(other)]
    fits = [
        (path, piece)
        for path, gives, depth, there in grammar.places(one)
        for kind, height, piece in pieces
        if kind == gives and height <= depth and piece != there
    ]
    inner = [(path, piece) for path, piece in fits if path]  # at the root it would be `other`, or a part of it alone
    fits = inner or fits
    if not fits:
        return one
    path, piece = fits[int(rng.integers(len(fits)))]
    return put(one, path, piece)


def distance(grammar: Grammar, one: Expression, other: Expression) -> float:
    """How many parts must change: a part with all below it where parts differ; of a part that stays, the mean distance
    of its parameters on their scales. 0 for equal expressions only; never more than to change the whole, which is the
    size of the larger.
    """
    whole = float(max(size(one), size(other)))
    if one.part != other.part:
        return whole
    domains = grammar.parts[one.part].parameters
    moved = [
        abs(place_of(domain, one.parameters[name]) - place_of(domain, other.parameters[name]))
        for name, domain in domains.items()
    ]
    below = sum(distance(grammar, a, b) for a, b in zip(one.inputs, other.inputs, strict=True))
    return min(whole, (sum(moved) / len(moved) if moved else 0.0) + below)


def _stepped(grammar: Grammar, expression: Expression, rng: np.random.Generator) -> Iterator[Expression]:
    movable = [
        (path, there, name)
        for path, _, _, there in grammar.places(expression)
        for name, domain in grammar.parts[there.part].parameters.items()
        if choices(domain) != 1
    ]
    if movable:
        path, there, name = movable[int(rng.integers(len(movable)))]
        value = stepped(grammar.parts[there.part].parameters[name], there.parameters[name], rng)
        yield put(expression, path, there.model_copy(update={"parameters": {**there.parameters, name: value}}))


def _swapped(grammar: Grammar, expression: Expression, rng: np.random.Generator) -> Iterator[Expression]:
    options = [
        (path, there, part)
        for path, gives, _, there in grammar.places(expression)
        for part in grammar.language.giving(gives)
        if part.takes == grammar.parts[there.part].takes and part.name != there.part
    ]
    if options:
        path, there, part = options[int(rng.integers(len(options)))]
        yield put(expression, path, _as(part, there, grammar.parts[there.part], rng))


def _regrown(grammar: Grammar, expression: Expression, rng: np.random.Generator) -> Iterator[Expression]:
    places = list(grammar.places(expression))
    path, gives, depth, _ = places[int(rng.integers(len(places)))]
    yield put(expression, path, grammar.draw(rng, gives, depth))


def _as(part: LanguagePart, there: Expression, before: LanguagePart, rng: np.random.Generator) -> Expression:
    """What is there with another part, which keeps those parameters that mean the same to both."""
    kept = {name for name, domain in part.parameters.items() if before.parameters.get(name) == domain}
    parameters = {
        name: there.parameters[name] if name in kept else drawn(domain, rng) for name, domain in part.parameters.items()
    }
    return Expression(part=part.name, parameters=parameters, inputs=there.inputs)


def _height(expression: Expression) -> int:
    return 1 + max(map(_height, expression.inputs), default=0)
