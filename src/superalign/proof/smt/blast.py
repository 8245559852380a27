"""Each operator of bit vectors as gates: bits, or one literal for a comparison."""

from __future__ import annotations

from superalign.proof.smt.circuit import TRUE, Bits, Circuit
from superalign.proof.smt.terms import BIT_COMPARISONS, CHAINED, Illtyped, Term


def operator_bits(circuit: Circuit, term: Term, args: list[Bits]) -> Bits | int:
    """An operator of bit vectors as gates."""
    a, b = args[0], args[1] if len(args) > 1 else args[0]
    if term.op in CHAINED:
        result = a
        for arg in args[1:]:
            result = _binary(circuit, term.op, result, arg)
        return result
    if term.op in BIT_COMPARISONS:
        return _compared(circuit, term.op, a, b)
    match term.op, term.indices:
        case "bvnot", ():
            return [-bit for bit in a]
        case "bvneg", ():
            return circuit.negated(a)
        case "bvcomp", ():
            return [circuit.equal(a, b)]
        case "concat", ():
            return [bit for arg in reversed(args) for bit in arg]
        case "extract", (high, low):
            return a[low : high + 1]
        case "zero_extend", (more,):
            return a + [-TRUE] * more
        case "sign_extend", (more,):
            return a + [a[-1]] * more
        case "rotate_left", (by,):
            at = -by % len(a)
            return a[at:] + a[:at]
        case "rotate_right", (by,):
            at = by % len(a)
            return a[at:] + a[:at]
        case "repeat", (times,):
            return a * times
    return _binary(circuit, term.op, a, b)


def _compared(circuit: Circuit, op: str, a: Bits, b: Bits) -> int:
    if op[2] == "s":  # with the sign turned, two's complement is ordered as unsigned numbers are
        a, b = [*a[:-1], -a[-1]], [*b[:-1], -b[-1]]
    if op[3:] in ("lt", "ge"):
        at_least = circuit.minus(a, b)[-1]
        return -at_least if op[3:] == "lt" else at_least
    at_most = circuit.minus(b, a)[-1]
    return at_most if op[3:] == "le" else -at_most


def _binary(circuit: Circuit, op: str, a: Bits, b: Bits) -> Bits:
    match op:
        case "bvand" | "bvnand":
            sign = 1 if op == "bvand" else -1
            return [sign * circuit.all_of([x, y]) for x, y in zip(a, b, strict=True)]
        case "bvor" | "bvnor":
            sign = 1 if op == "bvor" else -1
            return [sign * circuit.any_of([x, y]) for x, y in zip(a, b, strict=True)]
        case "bvxor" | "bvxnor":
            sign = 1 if op == "bvxor" else -1
            return [sign * circuit.differ(x, y) for x, y in zip(a, b, strict=True)]
        case "bvadd":
            return circuit.plus(a, b)[:-1]
        case "bvsub":
            return circuit.minus(a, b)[:-1]
        case "bvmul":
            return circuit.times(a, b)
        case "bvudiv":
            return circuit.divided(a, b)[0]
        case "bvurem":
            return circuit.divided(a, b)[1]
        case "bvshl" | "bvlshr" | "bvashr":
            return circuit.shifted(a, b, a[-1] if op == "bvashr" else -TRUE, op == "bvshl")
    return _signed_division(circuit, op, a, b)


def _signed_division(circuit: Circuit, op: str, a: Bits, b: Bits) -> Bits:
    """By the standard's definitions: of absolute values, with signs put back."""
    size_a = circuit.choose_bits(a[-1], circuit.negated(a), a)
    size_b = circuit.choose_bits(b[-1], circuit.negated(b), b)
    quotient, rest = circuit.divided(size_a, size_b)
    if op == "bvsdiv":
        return circuit.choose_bits(circuit.differ(a[-1], b[-1]), circuit.negated(quotient), quotient)
    signed_rest = circuit.choose_bits(a[-1], circuit.negated(rest), rest)
    if op == "bvsrem":
        return signed_rest
    if op != "bvsmod":
        raise Illtyped(op)
    nothing_left = circuit.all_of([-bit for bit in rest])
    moved = circuit.plus(signed_rest, b)[:-1]
    keep = circuit.any_of([nothing_left, -circuit.differ(a[-1], b[-1])])
    return circuit.choose_bits(keep, signed_rest, moved)
