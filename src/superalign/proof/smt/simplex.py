"""Do inequalities contradict each other? The simplex method in exact numbers (Dutertre and de Moura 2006). It only
proposes: values are looked at again, and multiples are added up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from superalign.proof.smt.linear import Sum


class Pair(NamedTuple):
    """A number, and a multiple of something smaller than any: what is below 3 is at most (3, -1). Pairs are ordered."""

    number: Fraction
    small: Fraction

    def minus(self, other: Pair) -> Pair:
        return Pair(self.number - other.number, self.small - other.small)

    def times(self, factor: Fraction) -> Pair:
        return Pair(self.number * factor, self.small * factor)


@dataclass(frozen=True)
class Bound:
    """A limit of a variable, and the inequality that it is from, with what that was divided by."""

    at: Pair
    source: int
    scale: Fraction


@dataclass(frozen=True)
class Feasible:
    """Values that keep all inequalities."""

    values: dict[int, Fraction]


@dataclass(frozen=True)
class Contradiction:
    """The inequalities, by place, whose multiples add up to what is false."""

    multiples: dict[int, Fraction]


def solve(inequalities: Sequence[tuple[Sum, bool]]) -> Feasible | Contradiction:
    """Values that keep every inequality (a sum is at most 0, or strictly below), or multiples that contradict."""
    tableau = Tableau(inequalities)
    found = tableau.run()
    return found or Feasible(tableau.values())


class Tableau:
    """Basic variables as sums of the others; each sum of several variables is a variable, too."""

    def __init__(self, inequalities: Sequence[tuple[Sum, bool]]) -> None:
        self.inequalities = inequalities
        named = sorted({variable for below, _ in inequalities for variable in below.of})
        self.first_slack = max(named, default=0) + 1
        self.rows: dict[int, dict[int, Fraction]] = {}
        self.upper: dict[int, Bound] = {}
        self.lower: dict[int, Bound] = {}
        self.early: Contradiction | None = None
        slacks: dict[tuple[tuple[int, Fraction], ...], int] = {}
        for place, (below, strict) in enumerate(inequalities):
            order = sorted(below.of.items())
            if not order:
                if below.constant > 0 or (below.constant == 0 and strict):
                    self.early = Contradiction({place: Fraction(1)})
                continue
            scale = order[0][1]
            shape = tuple((variable, coefficient / scale) for variable, coefficient in order)
            if len(shape) == 1:
                variable = shape[0][0]
            else:
                variable = slacks.setdefault(shape, self.first_slack + len(slacks))
                self.rows.setdefault(variable, dict(shape))
            limit = Pair(-below.constant / scale, Fraction(-1 if strict else 0) / abs(scale) * (1 if scale > 0 else -1))
            self._bound(variable, Bound(limit, place, abs(scale)), upper=scale > 0)
        zero = Pair(Fraction(0), Fraction(0))
        self.at = dict.fromkeys([*named, *self.rows], zero)

    def _bound(self, variable: int, bound: Bound, *, upper: bool) -> None:
        """Keep the tighter one."""
        bounds = self.upper if upper else self.lower
        known = bounds.get(variable)
        if known is None or (bound.at < known.at if upper else bound.at > known.at):
            bounds[variable] = bound
        low, high = self.lower.get(variable), self.upper.get(variable)
        if low and high and low.at > high.at and self.early is None:
            self.early = Contradiction({low.source: 1 / low.scale, high.source: 1 / high.scale})

    def run(self) -> Contradiction | None:
        """Pivot until every variable is within its bounds, or one can't be. Bland's rule: it ends."""
        if self.early:
            return self.early
        for variable in self.at:
            if variable not in self.rows:
                self._move(variable)
        self._update()
        while True:
            wrong = min((each for each in self.rows if self._breach(each)), default=None)
            if wrong is None:
                return None
            rising = self._breach(wrong) == "low"
            bound = self.lower[wrong] if rising else self.upper[wrong]
            row = self.rows[wrong]
            able = [other for other, times in row.items() if self._can(other, up=(times > 0) == rising)]
            if not able:
                return self._explained(row, bound, rising)
            self._pivot(wrong, min(able), bound.at)

    def values(self) -> dict[int, Fraction]:
        """Numbers in place of pairs, for something small enough that every inequality holds."""
        small = Fraction(1)
        while True:
            found = {each: at.number + small * at.small for each, at in self.at.items() if each < self.first_slack}
            if all(below.at(found) < 0 or (below.at(found) == 0 and not strict) for below, strict in self.inequalities):
                return found
            small /= 2

    def _breach(self, variable: int) -> str:
        at = self.at[variable]
        if variable in self.lower and at < self.lower[variable].at:
            return "low"
        return "high" if variable in self.upper and at > self.upper[variable].at else ""

    def _can(self, variable: int, *, up: bool) -> bool:
        bounds = self.upper if up else self.lower
        return variable not in bounds or (
            self.at[variable] < bounds[variable].at if up else self.at[variable] > bounds[variable].at
        )

    def _move(self, variable: int) -> None:
        """One that is free, to its nearer bound where it is beyond it."""
        side = self._breach(variable)
        if side:
            self.at[variable] = (self.lower if side == "low" else self.upper)[variable].at

    def _update(self) -> None:
        for basic, row in self.rows.items():
            parts = [self.at[other].times(times) for other, times in row.items()]
            self.at[basic] = Pair(
                sum((p.number for p in parts), Fraction(0)), sum((p.small for p in parts), Fraction(0))
            )

    def _pivot(self, leaving: int, entering: int, to: Pair) -> None:
        """Make `entering` basic, and move `leaving` to its bound."""
        row = self.rows.pop(leaving)
        times = row.pop(entering)
        turned = {leaving: 1 / times} | {other: -each / times for other, each in row.items()}
        for basic, other in self.rows.items():
            share = other.pop(entering, None)
            if share:
                for name, each in turned.items():
                    changed = other.get(name, Fraction(0)) + share * each
                    if changed:
                        other[name] = changed
                    else:
                        other.pop(name, None)
                self.rows[basic] = other
        self.rows[entering] = turned
        self.at[leaving] = to
        self._update()

    def _explained(self, row: dict[int, Fraction], bound: Bound, rising: bool) -> Contradiction:
        """The bound that can't be kept, and those which hold the others."""
        found = {bound.source: 1 / bound.scale}
        for other, times in row.items():
            holding = (self.upper if (times > 0) == rising else self.lower)[other]
            found[holding.source] = found.get(holding.source, Fraction(0)) + abs(times) / holding.scale
        return Contradiction(found)
