"""Terms of SMT-LIB, with their sorts, and what they mean: a term's value where its symbols have values.

Sorts are written as in SMT-LIB: `Bool`, `Int`, `Real`, `(_ BitVec 8)`, or the name of a declared one. A value is a
bool, an int, a Fraction, an int from 0 on for bits, and the name of an element for a declared sort.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

Sort: TypeAlias = str
Value: TypeAlias = bool | int | Fraction | str

BOOL, INT, REAL = "Bool", "Int", "Real"
WIDTH = re.compile(r"\(_ BitVec ([1-9][0-9]{0,4})\)")
MOST_WIDTH = 4096


class Illtyped(ValueError):
    """An operator has arguments that it does not take, or is none of the fragment."""


@dataclass(frozen=True, eq=False)
class Term:
    """`op` over `args`; a constant has its `value`, a symbol its `name`. Equal terms of one `Terms` are one object."""

    op: str
    args: tuple[Term, ...]
    sort: Sort
    name: str = ""
    value: Value = False
    indices: tuple[int, ...] = ()


def bits(width: int) -> Sort:
    """The sort of bit vectors."""
    if not 1 <= width <= MOST_WIDTH:
        raise Illtyped(f"a bit vector of {width} bits, where 1 to {MOST_WIDTH} are possible")
    return f"(_ BitVec {width})"


def width(sort: Sort) -> int:
    """Of a sort of bit vectors; 0 of any other."""
    found = WIDTH.fullmatch(sort)
    return int(found[1]) if found else 0


@dataclass
class Terms:
    """Makes terms, each once."""

    made: dict[tuple[object, ...], Term] = field(default_factory=dict)

    def constant(self, value: Value, sort: Sort) -> Term:
        return self._once("constant", (), sort, "", value)

    def symbol(self, name: str, sort: Sort, args: Sequence[Term] = ()) -> Term:
        """A declared constant, or a declared function of arguments."""
        return self._once("symbol", tuple(args), sort, name)

    def apply(self, op: str, args: Sequence[Term], indices: Sequence[int] = ()) -> Term:
        """An operator of the fragment. Illtyped where it does not take these arguments.

        Integer constants among reals are reals, and constants are negated and divided at once.
        """
        if REAL in {arg.sort for arg in args} and op != "to_real":
            args = [
                self.constant(Fraction(arg.value), REAL) if arg.op == "constant" and arg.sort == INT else arg
                for arg in args
            ]
        if op == "/" and all(arg.op == "constant" and arg.sort == INT for arg in args):
            args = [self.constant(Fraction(arg.value), REAL) for arg in args]
        sort = _sort_of(op, list(args), tuple(indices))
        term = Term(op, tuple(args), sort, "", False, tuple(indices))
        if op in ("-", "/", "to_real") and all(arg.op == "constant" for arg in args):
            return self.constant(_meaning(term, [arg.value for arg in args]), sort)
        return self._once(op, tuple(args), sort, "", False, tuple(indices))

    def _once(
        self,
        op: str,
        args: tuple[Term, ...],
        sort: Sort,
        name: str = "",
        value: Value = False,
        indices: tuple[int, ...] = (),
    ) -> Term:
        key = (op, tuple(map(id, args)), sort, name, value, indices)
        return self.made.setdefault(key, Term(op, args, sort, name, value, indices))


def postorder(terms: Sequence[Term]) -> Iterator[Term]:
    """Every term in these, once, after its arguments."""
    done: set[int] = set()
    waiting: list[tuple[Term, bool]] = [(term, False) for term in reversed(terms)]
    while waiting:
        term, ready = waiting.pop()
        if id(term) in done:
            continue
        if ready:
            done.add(id(term))
            yield term
        else:
            waiting.append((term, True))
            waiting += [(arg, False) for arg in reversed(term.args)]


def evaluate(terms: Sequence[Term], meaning: Callable[[Term, list[Value]], Value]) -> list[Value]:
    """Their values. `meaning` tells the value of a symbol, given those of its arguments."""
    found: dict[int, Value] = {}
    for term in postorder(terms):
        args = [found[id(arg)] for arg in term.args]
        if term.op == "constant":
            found[id(term)] = term.value
        else:
            found[id(term)] = meaning(term, args) if term.op == "symbol" else _meaning(term, args)
    return [found[id(term)] for term in terms]


# Operators by the kinds of arguments that they take.
CONNECTIVES = ("and", "or", "xor", "=>")
COMPARISONS = ("<=", "<", ">=", ">")
BITWISE = ("bvand", "bvor", "bvxor", "bvnand", "bvnor", "bvxnor")
BIT_ARITHMETIC = (
    "bvadd",
    "bvsub",
    "bvmul",
    "bvudiv",
    "bvurem",
    "bvsdiv",
    "bvsrem",
    "bvsmod",
    "bvshl",
    "bvlshr",
    "bvashr",
)
BIT_COMPARISONS = ("bvult", "bvule", "bvugt", "bvuge", "bvslt", "bvsle", "bvsgt", "bvsge")
CHAINED = ("bvand", "bvor", "bvxor", "bvadd", "bvmul")  # of two arguments or more


def _sort_of(op: str, args: list[Term], indices: tuple[int, ...]) -> Sort:
    sorts = [arg.sort for arg in args]
    same = len(set(sorts)) == 1
    wide = width(sorts[0]) if sorts else 0
    match op, len(args), indices:
        case "not", 1, () if sorts == [BOOL]:
            return BOOL
        case _, count, () if op in CONNECTIVES and count >= 1 and set(sorts) == {BOOL}:
            return BOOL
        case (("=" | "distinct"), count, ()) if count >= 2 and same:
            return BOOL
        case "ite", 3, () if sorts[0] == BOOL and sorts[1] == sorts[2]:
            return sorts[1]
        case (("+" | "-" | "*"), count, ()) if same and sorts[0] in (INT, REAL) and (count >= 2 or op == "-"):
            if op == "*" and sum(arg.op != "constant" for arg in args) > 1:
                raise Illtyped("a product of two terms that are no constants")
            return sorts[0]
        case "/", 2, () if sorts == [REAL, REAL]:
            if args[1].op != "constant" or args[1].value == 0:
                raise Illtyped("a division by what is no constant, or is 0")
            return REAL
        case "to_real", 1, () if sorts == [INT]:
            return REAL
        case _, count, () if op in COMPARISONS and count >= 2 and same and sorts[0] in (INT, REAL):
            return BOOL
        case (("bvnot" | "bvneg"), 1, ()) if wide:
            return sorts[0]
        case _, count, () if (
            op in (*BITWISE, *BIT_ARITHMETIC) and wide and same and (count == 2 or (count > 2 and op in CHAINED))
        ):
            return sorts[0]
        case _, 2, () if op in BIT_COMPARISONS and wide and same:
            return BOOL
        case "bvcomp", 2, () if wide and same:
            return bits(1)
        case "concat", count, () if count >= 2 and all(map(width, sorts)):
            return bits(sum(map(width, sorts)))
        case "extract", 1, (high, low) if wide > high >= low >= 0:
            return bits(high - low + 1)
        case (("zero_extend" | "sign_extend"), 1, (more,)) if wide and more >= 0:
            return bits(wide + more)
        case (("rotate_left" | "rotate_right"), 1, (by,)) if wide and by >= 0:
            return sorts[0]
        case "repeat", 1, (times,) if wide and times >= 1:
            return bits(wide * times)
    shown = " ".join((f"(_ {op} {' '.join(map(str, indices))})" if indices else op, *sorts))
    raise Illtyped(f"({shown[:120]}) is not of the fragment")


def signed(value: int, wide: int) -> int:
    """Bits as a number in two's complement."""
    return value - (1 << wide) if value >> (wide - 1) else value


def _meaning(term: Term, args: list[Value]) -> Value:
    """The value of an operator by the values of its arguments, as the standard's theories define it."""
    wide = width(term.args[0].sort)
    return (
        _bits_meaning(term, [int(arg) for arg in args], wide) if wide and term.op not in PLAIN else PLAIN[term.op](args)
    )


def _implies(args: list[Value]) -> bool:
    return bool(args[-1]) or not all(args[:-1])


def _difference(args: list[Value]) -> Value:
    first, *rest = args
    return first - sum(rest) if rest else -first  # type: ignore[operator,arg-type]


def _product(args: list[Value]) -> Value:
    result = args[0]
    for arg in args[1:]:
        result = result * arg  # type: ignore[operator]
    return result


PLAIN: dict[str, Callable[[list[Value]], Value]] = {
    "not": lambda args: not args[0],
    "and": all,
    "or": any,
    "xor": lambda args: sum(map(bool, args)) % 2 == 1,
    "=>": _implies,
    "=": lambda args: all(a == b for a, b in pairwise(args)),
    "distinct": lambda args: len(set(args)) == len(args),
    "ite": lambda args: args[1] if args[0] else args[2],
    "+": sum,  # type: ignore[dict-item]
    "-": _difference,
    "*": _product,
    "/": lambda args: Fraction(args[0]) / Fraction(args[1]),
    "to_real": lambda args: Fraction(args[0]),
    "<=": lambda args: all(a <= b for a, b in pairwise(args)),  # type: ignore[operator]
    "<": lambda args: all(a < b for a, b in pairwise(args)),  # type: ignore[operator]
    ">=": lambda args: all(a >= b for a, b in pairwise(args)),  # type: ignore[operator]
    ">": lambda args: all(a > b for a, b in pairwise(args)),  # type: ignore[operator]
}


def _bits_meaning(term: Term, args: list[int], wide: int) -> Value:
    full = (1 << wide) - 1
    a, b = args[0], args[1] if len(args) > 1 else 0
    if term.op in CHAINED:
        result = a
        for arg in args[1:]:
            result = BINARY[term.op](result, arg, wide) & full
        return result
    if term.op in BINARY:
        return BINARY[term.op](a, b, wide) & full
    if term.op in BIT_COMPARISONS:
        x, y = (signed(a, wide), signed(b, wide)) if term.op[2] == "s" else (a, b)
        return bool({"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y}[term.op[3:]])
    match term.op, term.indices:
        case "bvnot", ():
            return ~a & full
        case "bvneg", ():
            return -a & full
        case "bvcomp", ():
            return int(a == b)
        case "concat", ():
            result = 0
            for part, value in zip(term.args, args, strict=True):
                result = result << width(part.sort) | value
            return result
        case "extract", (high, low):
            return a >> low & ((1 << (high - low + 1)) - 1)
        case "zero_extend", _:
            return a
        case "sign_extend", (more,):
            return signed(a, wide) & ((1 << (wide + more)) - 1)
        case "rotate_left", (by,):
            return (a << by % wide | a >> (wide - by % wide)) & full
        case "rotate_right", (by,):
            return (a >> by % wide | a << (wide - by % wide)) & full
        case "repeat", (times,):
            return sum(a << wide * i for i in range(times))
    raise Illtyped(term.op)


def _truncated(a: int, b: int, wide: int) -> tuple[int, int]:
    """Quotient and remainder of signed numbers, rounded towards 0; b is not 0."""
    x, y = signed(a, wide), signed(b, wide)
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return quotient, x - quotient * y


def _sdiv(a: int, b: int, wide: int) -> int:
    if b == 0:
        return 1 if signed(a, wide) < 0 else -1
    return _truncated(a, b, wide)[0]


def _smod(a: int, b: int, wide: int) -> int:
    return signed(a, wide) % signed(b, wide) if b else a


BINARY: dict[str, Callable[[int, int, int], int]] = {
    "bvand": lambda a, b, wide: a & b,
    "bvor": lambda a, b, wide: a | b,
    "bvxor": lambda a, b, wide: a ^ b,
    "bvnand": lambda a, b, wide: ~(a & b),
    "bvnor": lambda a, b, wide: ~(a | b),
    "bvxnor": lambda a, b, wide: ~(a ^ b),
    "bvadd": lambda a, b, wide: a + b,
    "bvsub": lambda a, b, wide: a - b,
    "bvmul": lambda a, b, wide: a * b,
    "bvudiv": lambda a, b, wide: a // b if b else -1,
    "bvurem": lambda a, b, wide: a % b if b else a,
    "bvsdiv": _sdiv,
    "bvsrem": lambda a, b, wide: _truncated(a, b, wide)[1] if b else a,
    "bvsmod": _smod,
    "bvshl": lambda a, b, wide: a << b if b < wide else 0,
    "bvlshr": lambda a, b, wide: a >> b if b < wide else 0,
    "bvashr": lambda a, b, wide: signed(a, wide) >> min(b, wide),
}
