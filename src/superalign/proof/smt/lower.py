"""Assertions as clauses over literals, some of which stand for linear inequalities.

Functions go first (Ackermann 1954): each application is a value of its own, equal to another's where their arguments
are. Elements of declared sorts are numbers: without quantifiers, what holds of some set holds of any that is larger,
and what numbers can't keep, no set can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

from superalign.proof.formula import Formula
from superalign.proof.smt.blast import operator_bits
from superalign.proof.smt.circuit import TRUE, Bits, Circuit
from superalign.proof.smt.linear import Atom, Sum, bounds, contradict, normal
from superalign.proof.smt.reader import Script, symbol, written
from superalign.proof.smt.terms import (
    BOOL,
    INT,
    REAL,
    Illtyped,
    Term,
    Value,
    postorder,
    width,
)

Lowered: TypeAlias = int | Bits | Sum
Lemma: TypeAlias = list[tuple[int, Fraction]]  # literals of inequalities that contradict each other, with multiples


@dataclass
class Lowering:
    """The clauses of a script, and what their literals mean."""

    script: Script
    circuit: Circuit = field(default_factory=Circuit)
    atoms: dict[int, Atom] = field(default_factory=dict)  # by variable of the clauses
    integers: set[int] = field(default_factory=set)  # which variables of sums
    numbers: int = 0
    lowered: dict[int, Lowered] = field(default_factory=dict)  # by id of the term
    applied: dict[str, list[Term]] = field(default_factory=dict)
    _by_atom: dict[Atom, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for term in postorder(self.script.assertions):
            self.lowered[id(term)] = self._symbol(term) if term.op == "symbol" else self._lower(term)
        for assertion in self.script.assertions:
            self.circuit.add(self._literal(assertion))

    def formula(self, lemmas: Sequence[Lemma] = ()) -> Formula:
        """The clauses, with one for each lemma: not all of its literals are true."""
        learnt = tuple(tuple(-literal for literal, _ in lemma) for lemma in lemmas)
        return Formula(self.circuit.variables, (*self.circuit.clauses, *learnt))

    def branch(self, variable: int, bound: int) -> int:
        """The literal that says that an integer variable is at most `bound`. Its negation says: at least one more."""
        if variable not in self.integers:
            raise ValueError(f"{variable} is no integer")
        return self._at_most(Sum({variable: Fraction(1)}, Fraction(-bound)), False)

    def follows(self, lemma: Lemma) -> bool:
        """Whether the literals of the lemma contradict each other, by Farkas' lemma."""
        if not all(abs(literal) in self.atoms for literal, _ in lemma):
            return False
        said = [bounds(self.atoms[abs(literal)], literal > 0, self.integers) for literal, _ in lemma]
        return contradict(said, [times for _, times in lemma])

    def model(self, true: set[int], numbers: dict[int, Fraction]) -> str:
        """Definitions of all that is declared, by the literals that are true and the numbers that sums are made of."""

        def value(term: Term) -> Value:
            lowered = self.lowered[id(term)]
            if isinstance(lowered, int):
                return lowered in true
            if isinstance(lowered, Sum):
                found = lowered.at(numbers)
                if term.sort == INT:
                    return int(found)
                return found if term.sort == REAL else f"@{str(found).replace('/', '_').replace('-', 'm')}"
            return sum((bit in true) << place for place, bit in enumerate(lowered))

        lines = []
        for name, signature in self.script.declared.items():
            parameters = " ".join(f"(x{i} {self._sort(sort)})" for i, sort in enumerate(signature.takes))
            body = written(default(signature.gives), signature.gives)
            for term in self.applied.get(name, ()):
                given = [f"(= x{i} {written(value(arg), arg.sort)})" for i, arg in enumerate(term.args)]
                result = written(value(term), term.sort)
                body = f"(ite (and {' '.join(given)}) {result} {body})" if given else result
            lines.append(f"(define-fun {symbol(name)} ({parameters}) {self._sort(signature.gives)} {body})\n")
        return "".join(lines)

    def _sort(self, sort: str) -> str:
        return sort if width(sort) or sort in (BOOL, INT, REAL) else symbol(sort)

    def _symbol(self, term: Term) -> Lowered:
        """A value of its own, and for each earlier application: equal where the arguments are."""
        circuit, wide = self.circuit, width(term.sort)
        mine: Lowered
        if term.sort == BOOL:
            mine = circuit.variable()
        elif wide:
            mine = [circuit.variable() for _ in range(wide)]
        else:
            mine = self._number(term.sort == INT)
        for other in self.applied.setdefault(term.name, []):
            same = [self._equal(self._of(a), self._of(b)) for a, b in zip(term.args, other.args, strict=True)]
            circuit.add(*(-literal for literal in same), self._equal(mine, self._of(other)))
        self.applied[term.name].append(term)
        return mine

    def _lower(self, term: Term) -> Lowered:
        args = [self._of(arg) for arg in term.args]
        if term.op == "constant":
            return self._constant(term)
        if term.op in ("=", "distinct"):
            equal = [self._equal(a, b) for a, b in pairwise(args)]
            if term.op == "=":
                return self.circuit.all_of(equal)
            pairs = [(a, b) for place, a in enumerate(args) for b in args[:place]]
            return self.circuit.all_of([-self._equal(a, b) for a, b in pairs])
        if term.op == "ite":
            return self._choice(args[0], args[1], args[2], term.sort == INT)
        if isinstance(args[0], int):
            return self._connective(term.op, [arg for arg in args if isinstance(arg, int)])
        if isinstance(args[0], Sum):
            return self._arithmetic(term, [arg for arg in args if isinstance(arg, Sum)])
        return operator_bits(self.circuit, term, [arg for arg in args if isinstance(arg, list)])

    def _of(self, term: Term) -> Lowered:
        return self.lowered[id(term)]

    def _literal(self, term: Term) -> int:
        lowered = self._of(term)
        assert isinstance(lowered, int)
        return lowered

    def _number(self, whole: bool) -> Sum:
        self.numbers += 1
        if whole:
            self.integers.add(self.numbers)
        return Sum({self.numbers: Fraction(1)})

    def _constant(self, term: Term) -> Lowered:
        if term.sort == BOOL:
            return TRUE if term.value else -TRUE
        if wide := width(term.sort):
            return [TRUE if int(term.value) >> place & 1 else -TRUE for place in range(wide)]
        if isinstance(term.value, str):
            raise Illtyped(f"{term.value} is an element, which only a model may name")
        return Sum(constant=Fraction(term.value))

    def _equal(self, a: Lowered, b: Lowered) -> int:
        match a, b:
            case int(), int():
                return -self.circuit.differ(a, b)
            case Sum(), Sum():
                difference = a.plus(b, Fraction(-1))
                other = b.plus(a, Fraction(-1))
                return self.circuit.all_of([self._at_most(difference, False), self._at_most(other, False)])
            case list(), list():
                return self.circuit.equal(a, b)
        raise AssertionError("two sorts")

    def _at_most(self, below: Sum, strict: bool) -> int:
        """The literal that says that the sum is at most 0, or strictly below."""
        atom, negated = normal(below, strict, self.integers)
        if isinstance(atom, bool):
            return TRUE if atom else -TRUE
        if atom not in self._by_atom:
            variable = self._by_atom[atom] = self.circuit.variable()
            self.atoms[variable] = atom
        return -self._by_atom[atom] if negated else self._by_atom[atom]

    def _choice(self, condition: Lowered, then: Lowered, otherwise: Lowered, whole: bool) -> Lowered:
        assert isinstance(condition, int)
        match then, otherwise:
            case int(), int():
                return self.circuit.choose(condition, then, otherwise)
            case list(), list():
                return self.circuit.choose_bits(condition, then, otherwise)
        chosen = self._number(whole)
        self.circuit.add(-condition, self._equal(chosen, then))
        self.circuit.add(condition, self._equal(chosen, otherwise))
        return chosen

    def _connective(self, op: str, args: list[int]) -> int:
        circuit = self.circuit
        match op:
            case "not":
                return -args[0]
            case "and":
                return circuit.all_of(args)
            case "or":
                return circuit.any_of(args)
            case "=>":
                return circuit.any_of([*(-arg for arg in args[:-1]), args[-1]])
            case "xor":
                result = args[0]
                for arg in args[1:]:
                    result = circuit.differ(result, arg)
                return result
        raise Illtyped(op)

    def _arithmetic(self, term: Term, args: list[Sum]) -> Lowered:
        first, *rest = args
        match term.op:
            case "+" | "-":
                sign = Fraction(1 if term.op == "+" else -1)
                result = first if rest else Sum().plus(first, sign)
                for each in rest:
                    result = result.plus(each, sign)
                return result
            case "*" | "/":
                times, factor = Fraction(1), Sum(constant=Fraction(1))
                for place, each in enumerate(args):
                    if term.args[place].op != "constant":
                        factor = each
                    else:
                        times = times / each.constant if term.op == "/" and place else times * each.constant
                return Sum().plus(factor, times)
            case "to_real":
                return first
            case "<=" | "<" | ">=" | ">":
                pairs = pairwise(args) if term.op[0] == "<" else ((b, a) for a, b in pairwise(args))
                strict = len(term.op) == 1
                return self.circuit.all_of([self._at_most(a.plus(b, Fraction(-1)), strict) for a, b in pairs])
        raise Illtyped(term.op)


def default(sort: str) -> Value:
    """Some value of a sort."""
    if sort == BOOL:
        return False
    return 0 if width(sort) or sort == INT else Fraction(0) if sort == REAL else "@0"
