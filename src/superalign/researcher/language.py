"""The typed language of a problem's solutions: what is an expression of it, which are there, and one at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from difflib import get_close_matches

import numpy as np

from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.research import Domain, Expression, Language, LanguagePart, OneOf, Value
from superalign.researcher.scale import choices, drawn

Path = tuple[int, ...]  # from the root, by the number of the input at each step


class Grammar:
    """A language that was found to have expressions, with what follows from it."""

    def __init__(self, language: Language) -> None:
        """InputError for a part that is there twice, an empty domain, and a type that can't be reached within the
        depth: the root's, or one that a part takes.
        """
        self.language = language
        self.parts = {part.name: part for part in language.parts}
        self._check_parts()
        self._heights: dict[str, int] = {}
        self._find_heights()
        self._check_types()

    def fitting(self, gives: str, depth: int) -> tuple[LanguagePart, ...]:
        """The parts that give this type as the root of some expression at most `depth` deep."""
        return tuple(part for part in self.language.giving(gives) if self._height(part) <= depth)

    def check(self, expression: Expression) -> None:
        """InputError, with the place and the fix, for what is no expression of this language."""
        self._check(expression, self.language.root, self.language.depth, "root")

    def draw(self, rng: np.random.Generator, gives: str | None = None, depth: int | None = None) -> Expression:
        """An expression at random. At each place, all parts that fit are equally likely, and so are all values of a
        parameter on its scale. (Were all trees equally likely, nearly all would be as large as the depth allows.)
        """
        depth = self.language.depth if depth is None else depth
        parts = self.fitting(self.language.root if gives is None else gives, depth)
        part = parts[int(rng.integers(len(parts)))]
        return Expression(
            part=part.name,
            parameters={name: drawn(domain, rng) for name, domain in part.parameters.items()},
            inputs=tuple(self.draw(rng, taken, depth - 1) for taken in part.takes),
        )

    def size(self) -> int | None:
        """How many expressions there are; None where a parameter is a real number and there is no end of them."""
        return self._count(self.language.root, self.language.depth, {})

    def places(self, expression: Expression) -> Iterator[tuple[Path, str, int, Expression]]:
        """Each place of an expression, root first: the path to it, its type, how deep it may be, what is there."""
        yield from self._places(expression, (), self.language.root, self.language.depth)

    def _places(
        self, found: Expression, path: Path, gives: str, depth: int
    ) -> Iterator[tuple[Path, str, int, Expression]]:
        yield path, gives, depth, found
        for number, (taken, below) in enumerate(zip(self.parts[found.part].takes, found.inputs, strict=True)):
            yield from self._places(below, (*path, number), taken, depth - 1)

    def _check(self, found: Expression, gives: str, depth: int, where: str) -> None:
        if found.part not in self.parts:
            unknown = UnknownName("part", found.part, self.parts)
            raise InputError(unknown.what, where=where, fix=unknown.fix)
        part = self.parts[found.part]
        if part.gives != gives:
            others = ", ".join(other.name for other in self.fitting(gives, depth))
            raise InputError(
                f"{part.name} gives {part.gives}, where {gives} is wanted.",
                where=where,
                fix=f"Put here one of: {others}.",
            )
        if self._height(part) > depth:
            others = ", ".join(other.name for other in self.fitting(gives, depth)) or "none"
            raise InputError(
                f"{part.name} makes the expression deeper than {self.language.depth}.",
                where=where,
                fix=f"Make it flatter. What fits here: {others}.",
            )
        if len(found.inputs) != len(part.takes):
            raise InputError(
                f"{part.name} has {len(found.inputs)} inputs, and takes {len(part.takes)}.",
                where=where,
                fix=f"Give it: {', '.join(part.takes) or 'none'}.",
            )
        _check_parameters(found, part, where)
        for number, (taken, below) in enumerate(zip(part.takes, found.inputs, strict=True), 1):
            self._check(below, taken, depth - 1, f"{where} > {part.name}, input {number}")

    def _check_parts(self) -> None:
        if len(self.parts) < len(self.language.parts):
            names = [part.name for part in self.language.parts]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError(f"The language has two parts named {', '.join(twice)}.", fix="Rename one of them.")
        for part in self.language.parts:
            for name, domain in part.parameters.items():
                if choices(domain) == 0:
                    raise InputError(
                        f"There is no whole number in the domain of {name!r}.",
                        where=part.name,
                        fix="Widen it, or let it not be whole.",
                    )

    def _check_types(self) -> None:
        wanted = {self.language.root: ("the root", self.language.depth)}
        for part in self.language.parts:
            for taken in part.takes:
                wanted.setdefault(taken, (f"the part {part.name}", max(self.language.depth - 1, 1)))
        for name, (who, depth) in wanted.items():
            if self._heights.get(name, math.inf) > depth:
                raise InputError(
                    f"No value of type {name!r} can be made within a depth of {depth}; {who} wants one.",
                    where="language",
                    fix="Add a part that gives it, or allow a greater depth.",
                )

    def _find_heights(self) -> None:
        """Of each type that can be made at all: the height of its flattest expression."""
        while True:
            found = {
                gives: int(least)
                for gives in {part.gives for part in self.language.parts}
                if (least := min(map(self._height, self.language.giving(gives)))) < math.inf
            }
            if found == self._heights:
                return
            self._heights = found

    def _height(self, part: LanguagePart) -> float:
        """Of the flattest expression with this root."""
        return 1 + max((self._heights.get(taken, math.inf) for taken in part.takes), default=0)

    def _count(self, gives: str, depth: int, known: dict[tuple[str, int], int | None]) -> int | None:
        if (gives, depth) not in known:
            counts = [
                [choices(domain) for domain in part.parameters.values()]
                + [self._count(taken, depth - 1, known) for taken in part.takes]
                for part in self.fitting(gives, depth)
            ]
            endless = any(factor is None for factors in counts for factor in factors)
            finite = sum(math.prod(factor or 1 for factor in factors) for factors in counts)
            known[gives, depth] = None if endless else finite
        return known[gives, depth]


def size(expression: Expression) -> int:
    """How many parts it is made of."""
    return 1 + sum(map(size, expression.inputs))


def put(expression: Expression, path: Path, new: Expression) -> Expression:
    """The expression with `new` at this place."""
    if not path:
        return new
    number, *rest = path
    inputs = list(expression.inputs)
    inputs[number] = put(inputs[number], tuple(rest), new)
    return expression.model_copy(update={"inputs": tuple(inputs)})


def _check_parameters(found: Expression, part: LanguagePart, where: str) -> None:
    for name in found.parameters:
        if name not in part.parameters:
            near = get_close_matches(name, part.parameters, n=1)
            known = ", ".join(part.parameters) or "none"
            raise InputError(
                f"{part.name} has no parameter {name!r}.",
                where=where,
                fix=f"Did you mean {near[0]!r}?" if near else f"It has: {known}.",
            )
    for name, domain in part.parameters.items():
        if name not in found.parameters:
            raise InputError(f"{part.name} lacks its parameter {name!r}.", where=where, fix=f"Give {allowed(domain)}.")
        if not domain.holds(value := found.parameters[name]):
            raise InputError(
                f"{part.name} can't have {name} = {_shown(value)}.", where=where, fix=f"Give {allowed(domain)}."
            )


def allowed(domain: Domain) -> str:
    """A domain in words."""
    if isinstance(domain, OneOf):
        return f"one of {', '.join(map(_shown, domain.options))}"
    kind = "a whole number" if domain.whole else "a number"
    return f"{kind} from {domain.low:g} to {domain.high:g}" + (", on a logarithmic scale" if domain.log else "")


def _shown(value: Value) -> str:
    return repr(value)[:80]
