"""Linear arithmetic: sums, inequalities as atoms, and Farkas' lemma, by which inequalities contradict each other.

Farkas 1902: if multiples, none below 0, of inequalities add up to 0 < 0 or to 0 <= c with c < 0, no numbers keep all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, gcd, lcm


@dataclass(frozen=True)
class Sum:
    """Variables, by number, times their coefficients, plus a constant. No coefficient is 0."""

    of: Mapping[int, Fraction] = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    def plus(self, other: Sum, times: Fraction = Fraction(1)) -> Sum:
        """This and `times` the other."""
        added = dict(self.of)
        for variable, coefficient in other.of.items():
            added[variable] = added.get(variable, Fraction(0)) + times * coefficient
        kept = {variable: coefficient for variable, coefficient in added.items() if coefficient}
        return Sum(kept, self.constant + times * other.constant)

    def at(self, values: Mapping[int, Fraction]) -> Fraction:
        """Its value."""
        return self.constant + sum(
            (coefficient * values[variable] for variable, coefficient in self.of.items()), Fraction(0)
        )


@dataclass(frozen=True)
class Atom:
    """The sum of `of` is at most `bound`, or below it where `strict`. Coefficients are coprime integers, the first
    above 0; of integers alone it is never strict and the bound an integer.
    """

    of: tuple[tuple[int, int], ...]
    bound: Fraction
    strict: bool

    def holds(self, values: Mapping[int, Fraction]) -> bool:
        value = Sum({variable: Fraction(times) for variable, times in self.of}).at(values)
        return value < self.bound or (value == self.bound and not self.strict)


def normal(below: Sum, strict: bool, integers: Iterable[int]) -> tuple[Atom | bool, bool]:
    """`below` is at most 0, or strictly below, as an atom and whether it is negated; or as what is known of it."""
    if not below.of:
        return (below.constant < 0 or (below.constant == 0 and not strict)), False
    whole = set(integers)
    order = sorted(below.of)
    scale = lcm(*(below.of[each].denominator for each in order))
    scaled = [int(below.of[each] * scale) for each in order]
    common = gcd(*scaled)
    coefficients = [each // common for each in scaled]
    bound, negated = -below.constant * scale / common, coefficients[0] < 0
    all_whole = whole.issuperset(order)
    if all_whole:  # a sum of integers is an integer
        bound, strict = Fraction(-floor(-bound) - 1 if strict else floor(bound)), False
    if negated:  # s <= b is not (-s < -b), and of integers not (-s <= -b - 1)
        coefficients = [-each for each in coefficients]
        bound, strict = (-bound - 1, False) if all_whole else (-bound, not strict)
    return Atom(tuple(zip(order, coefficients, strict=True)), bound, strict), negated


def bounds(atom: Atom, true: bool, integers: Iterable[int]) -> tuple[Sum, bool]:
    """The inequality that a literal says: a sum that is at most 0, or strictly below."""
    below = Sum({variable: Fraction(times) for variable, times in atom.of}, -atom.bound)
    if true:
        return below, atom.strict
    above = Sum().plus(below, Fraction(-1))
    if set(integers).issuperset(variable for variable, _ in atom.of):
        return above.plus(Sum(constant=Fraction(1))), False
    return above, not atom.strict


def contradict(inequalities: Iterable[tuple[Sum, bool]], multiples: Iterable[Fraction]) -> bool:
    """Whether these multiples of the inequalities add up to what is false."""
    total, strict = Sum(), False
    for (below, is_strict), times in zip(inequalities, multiples, strict=True):
        if times < 0:
            return False
        total, strict = total.plus(below, times), strict or (is_strict and times > 0)
    return not total.of and (total.constant > 0 or (total.constant == 0 and strict))
