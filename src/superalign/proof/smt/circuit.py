"""Gates as clauses (Tseitin 1968), and the arithmetic of bit vectors as gates. Bits are literals, the lowest first."""

from __future__ import annotations

from collections.abc import Sequence

from superalign.proof.formula import Clause

TRUE = 1  # the variable that is true
MOST_CLAUSES = 3_000_000
Bits = list[int]


class TooLarge(ValueError):
    """More clauses than can be checked here."""


class Circuit:
    """Clauses that grow with each gate. Each gate is made once, and none where its value is known."""

    def __init__(self) -> None:
        self.variables = TRUE
        self.clauses: list[Clause] = [(TRUE,)]
        self._gates: dict[tuple[object, ...], int] = {}

    def variable(self) -> int:
        """A new one, of which nothing is said."""
        self.variables += 1
        return self.variables

    def add(self, *literals: int) -> None:
        """One of these is true."""
        if len(self.clauses) >= MOST_CLAUSES:
            raise TooLarge(f"it has more than {MOST_CLAUSES:,} clauses")
        self.clauses.append(literals)

    def all_of(self, literals: Sequence[int]) -> int:
        kept = sorted(set(literals) - {TRUE})
        if -TRUE in kept or any(-literal in kept for literal in kept):
            return -TRUE
        if len(kept) <= 1:
            return kept[0] if kept else TRUE
        key = ("and", *kept)
        if key not in self._gates:
            gate = self._gates[key] = self.variable()
            for literal in kept:
                self.add(-gate, literal)
            self.add(gate, *(-literal for literal in kept))
        return self._gates[key]

    def any_of(self, literals: Sequence[int]) -> int:
        return -self.all_of([-literal for literal in literals])

    def differ(self, a: int, b: int) -> int:
        """Exclusive or."""
        if abs(a) == TRUE:
            a, b = b, a
        if abs(b) == TRUE:
            return -a if b == TRUE else a
        if abs(a) == abs(b):
            return -TRUE if a == b else TRUE
        x, y = sorted((abs(a), abs(b)))
        key = ("xor", x, y)
        if key not in self._gates:
            gate = self._gates[key] = self.variable()
            for clause in ((-gate, x, y), (-gate, -x, -y), (gate, -x, y), (gate, x, -y)):
                self.add(*clause)
        return self._gates[key] if (a > 0) == (b > 0) else -self._gates[key]

    def choose(self, condition: int, then: int, otherwise: int) -> int:
        return self.all_of([self.any_of([-condition, then]), self.any_of([condition, otherwise])])

    def majority(self, a: int, b: int, c: int) -> int:
        return self.any_of([self.all_of([a, b]), self.all_of([a, c]), self.all_of([b, c])])

    # Of bit vectors.

    def choose_bits(self, condition: int, then: Bits, otherwise: Bits) -> Bits:
        return [self.choose(condition, a, b) for a, b in zip(then, otherwise, strict=True)]

    def equal(self, a: Bits, b: Bits) -> int:
        return self.all_of([-self.differ(x, y) for x, y in zip(a, b, strict=True)])

    def plus(self, a: Bits, b: Bits, carry: int = -TRUE) -> Bits:
        """The sum, and the carry out of it as a last bit more."""
        result = []
        for x, y in zip(a, b, strict=True):
            result.append(self.differ(self.differ(x, y), carry))
            carry = self.majority(x, y, carry)
        return [*result, carry]

    def minus(self, a: Bits, b: Bits) -> Bits:
        """The difference, and as a last bit more whether a is at least b, as unsigned numbers."""
        return self.plus(a, [-bit for bit in b], TRUE)

    def negated(self, a: Bits) -> Bits:
        return self.minus([-TRUE] * len(a), a)[:-1]

    def times(self, a: Bits, b: Bits) -> Bits:
        wide = len(a)
        result = [-TRUE] * wide
        for place, bit in enumerate(b):
            row = [-TRUE] * place + [self.all_of([bit, x]) for x in a[: wide - place]]
            result = self.plus(result, row)[:-1]
        return result

    def divided(self, a: Bits, b: Bits) -> tuple[Bits, Bits]:
        """Quotient and remainder by long division. By 0 it gives all ones and a, as the standard has it."""
        wide = len(a)
        rest, quotient, divisor = [-TRUE] * wide, [-TRUE] * wide, [*b, -TRUE]
        for place in reversed(range(wide)):
            shifted = [a[place], *rest]
            *difference, fits = self.minus(shifted, divisor)
            quotient[place] = fits
            rest = self.choose_bits(fits, difference, shifted)[:wide]
        return quotient, rest

    def shifted(self, a: Bits, by: Bits, fill: int, left: bool) -> Bits:
        """By so many places, with `fill` coming in."""
        wide, result = len(a), a[::-1] if left else list(a)
        for place, bit in enumerate(by):
            step = min(1 << min(place, wide.bit_length()), wide)
            result = self.choose_bits(bit, result[step:] + [fill] * step, result)
        return result[::-1] if left else result
