"""Reads SMT-LIB 2: declarations, definitions without recursion, and assertions, of a stated fragment; and models."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

from superalign.contracts.errors import InputError
from superalign.proof.smt.terms import (
    BIT_ARITHMETIC,
    BIT_COMPARISONS,
    BITWISE,
    BOOL,
    INT,
    PLAIN,
    REAL,
    Illtyped,
    Sort,
    Term,
    Terms,
    Value,
    bits,
    evaluate,
)

Expression: TypeAlias = "str | list[Expression]"

TOKEN = re.compile(r'\s+|;[^\n]*|(?P<text>"(?:[^"]|"")*")|\|(?P<quoted>[^|\\]*)\||(?P<plain>[()]|[^\s()|";]+)')
NUMERAL, DECIMAL = re.compile(r"0|[1-9][0-9]*"), re.compile(r"(0|[1-9][0-9]*)\.[0-9]+")
SILENT = {"set-logic", "set-info", "set-option", "check-sat", "get-model", "get-value", "get-info", "echo"}
DEEPEST = 400  # nested brackets; deeper ones are for a program that writes, which can use let
MOST_READ = 3_000_000
RESERVED = {
    "true", "false", "let", "_", "!", "as", "forall", "exists", "match", "par", "bvcomp", "concat", "extract", "repeat",
    "bvnot", "bvneg", "zero_extend", "sign_extend", "rotate_left", "rotate_right", *PLAIN, *BITWISE, *BIT_ARITHMETIC,
    *BIT_COMPARISONS,
}  # fmt: skip
ELEMENT = re.compile(r"@[\w.!/-]+")


@dataclass(frozen=True)
class Signature:
    """The sorts of a function's arguments, and of its value."""

    takes: tuple[Sort, ...]
    gives: Sort


@dataclass(frozen=True)
class Definition:
    """What a name stands for: a term over parameters."""

    parameters: tuple[tuple[str, Sort], ...]
    gives: Sort
    body: Expression


@dataclass
class Script:
    """What a file declares and asserts."""

    terms: Terms = field(default_factory=Terms)
    sorts: set[Sort] = field(default_factory=lambda: {BOOL, INT, REAL})
    declared: dict[str, Signature] = field(default_factory=dict)
    defined: dict[str, Definition] = field(default_factory=dict)
    assertions: list[Term] = field(default_factory=list)
    read: int = 0


def read_script(text: str, where: str) -> Script:
    """The script. InputError for what can't be read, or is outside of the fragment."""
    script, checked = Script(), False
    for number, command in enumerate(_read(text, where), 1):
        try:
            checked = _carried_out(script, command, checked)
        except (Illtyped, ValueError, RecursionError) as error:
            raise InputError(
                f"Command {number} can't be taken: {error}.",
                where=where,
                fix="Assertions are of QF_UF, QF_BV, QF_LIA, QF_LRA or a mixture; see docs/concepts/proofs.md.",
            ) from None
    if not script.assertions:
        raise InputError("The file asserts nothing.", where=where, fix="Write: (assert ...)")
    return script


def _carried_out(script: Script, command: Expression, checked: bool) -> bool:
    """Take one command; whether (check-sat) has come."""
    match command:
        case ["check-sat"]:
            if checked:
                raise Illtyped("a second (check-sat); one question to a file")
            return True
        case ["exit"]:
            return True
        case [str(name), *_] if name in SILENT:
            return checked
        case _ if checked:
            raise Illtyped("it comes after (check-sat)")
        case ["declare-sort", str(name), "0"]:
            _new(script, name)
            script.sorts.add(name)
        case ["declare-const", str(name), sort]:
            _new(script, name)
            script.declared[name] = Signature((), _sort(script, sort))
        case ["declare-fun", str(name), [*takes], gives]:
            _new(script, name)
            script.declared[name] = Signature(tuple(_sort(script, each) for each in takes), _sort(script, gives))
        case ["define-fun", str(name), [*_], _, _] | ["define-const", str(name), _, _]:
            _new(script, name)
            script.defined[name] = _definition(script, command)
            _term(script, script.defined[name].body, dict(_bound(script, script.defined[name])))
        case ["assert", body]:
            term = _term(script, body, {})
            if term.sort != BOOL:
                raise Illtyped("what is asserted is not of sort Bool")
            script.assertions.append(term)
        case [str(name), *_]:
            raise Illtyped(f"the command {name[:40]} is none of those known")
        case _:
            raise Illtyped("it is no command")
    return checked


def _definition(script: Script, command: list[Expression]) -> Definition:
    parameters, gives, body = ([], *command[2:]) if command[0] == "define-const" else command[2:]
    named = []
    for each in parameters:
        match each:
            case [str(name), sort]:
                named.append((name, _sort(script, sort)))
            case _:
                raise Illtyped("a parameter is no pair of a name and a sort")
    return Definition(tuple(named), _sort(script, gives), body)


def _bound(script: Script, definition: Definition) -> list[tuple[str, Term]]:
    """Each parameter as a symbol that can't be meant otherwise."""
    return [(name, script.terms.symbol(f"\0{name}", sort)) for name, sort in definition.parameters]


def _new(script: Script, name: str) -> None:
    if name in RESERVED:
        raise Illtyped(f"{name} can't be declared, it is of the language")
    if name in script.declared or name in script.defined or name in script.sorts:
        raise Illtyped(f"{name[:40]} is declared twice")
    if not name or name[0] in '0123456789#:"':
        raise Illtyped(f"{name[:40]!r} is no name")


def _sort(script: Script, expression: Expression) -> Sort:
    match expression:
        case ["_", "BitVec", str(wide)] if NUMERAL.fullmatch(wide):
            return bits(int(wide))
        case str(name) if name in script.sorts:
            return name
    raise Illtyped(f"{_shown(expression)} is no sort known here")


def _term(script: Script, expression: Expression, bound: Mapping[str, Term]) -> Term:
    terms = script.terms
    script.read += 1  # definitions within definitions can grow without end
    if script.read > MOST_READ:
        raise Illtyped(f"with its definitions carried out it has more than {MOST_READ:,} terms")
    match expression:
        case str(text):
            return bound[text] if text in bound else _atom(script, text)
        case ["let", [*bindings], body]:
            inner: dict[str, Term] = {}
            for binding in bindings:
                match binding:
                    case [str(name), value] if name not in inner:
                        inner[name] = _term(script, value, bound)
                    case _:
                        raise Illtyped("a binding of let is no pair of a new name and a term")
            return _term(script, body, {**bound, **inner})
        case ["!", body, *attributes]:
            term = _term(script, body, bound)
            for key, value in pairwise(attributes):
                if key == ":named" and isinstance(value, str):
                    if bound:
                        raise Illtyped("a term is named where something is bound")
                    _new(script, value)
                    script.defined[value] = Definition((), term.sort, body)
            return term
        case ["_", str(name), str(wide)] if re.fullmatch(r"bv(0|[1-9][0-9]*)", name) and NUMERAL.fullmatch(wide):
            return terms.constant(int(name[2:]) % (1 << int(wide)), bits(int(wide)))
        case ["as", str(name), sort] if ELEMENT.fullmatch(name) and isinstance(sort, str) and sort in script.sorts:
            if sort in (BOOL, INT, REAL):
                raise Illtyped(f"{sort} has no element {name[:40]}")
            return terms.constant(name, sort)
        case [["_", str(op), *indices], *args] if all(isinstance(i, str) and NUMERAL.fullmatch(i) for i in indices):
            taken = [_term(script, arg, bound) for arg in args]
            return terms.apply(op, taken, [int(str(index)) for index in indices])
        case [str(op), *args] if args:
            return _applied(script, op, [_term(script, arg, bound) for arg in args])
    raise Illtyped(f"{_shown(expression)} is no term of the fragment")


def _applied(script: Script, name: str, args: list[Term]) -> Term:
    sorts = tuple(arg.sort for arg in args)
    if name in script.declared:
        signature = script.declared[name]
        args = [
            script.terms.constant(Fraction(arg.value), REAL)
            if (wanted, arg.sort, arg.op) == (REAL, INT, "constant")
            else arg
            for arg, wanted in zip(args, signature.takes, strict=False)
        ] + args[len(signature.takes) :]
        if tuple(arg.sort for arg in args) != signature.takes:
            raise Illtyped(f"{name[:40]} takes ({' '.join(signature.takes)}), not ({' '.join(sorts)})")
        return script.terms.symbol(name, signature.gives, args)
    if name in script.defined:
        definition = script.defined[name]
        if sorts != tuple(sort for _, sort in definition.parameters):
            raise Illtyped(f"{name[:40]} does not take ({' '.join(sorts)})")
        inner = {parameter: arg for (parameter, _), arg in zip(definition.parameters, args, strict=True)}
        term = _term(script, definition.body, inner)
        if (definition.gives, term.sort, term.op) == (REAL, INT, "constant"):
            term = script.terms.constant(Fraction(term.value), REAL)
        if term.sort != definition.gives:
            raise Illtyped(f"{name[:40]} is defined to be {definition.gives}, and is {term.sort}")
        return term
    return script.terms.apply(name, args)


def _atom(script: Script, text: str) -> Term:
    terms = script.terms
    if text in ("true", "false"):
        return terms.constant(text == "true", BOOL)
    if NUMERAL.fullmatch(text):
        return terms.constant(int(text), INT)
    if DECIMAL.fullmatch(text):
        return terms.constant(Fraction(text), REAL)
    if re.fullmatch(r"#b[01]+", text):
        return terms.constant(int(text[2:], 2), bits(len(text) - 2))
    if re.fullmatch(r"#x[0-9a-fA-F]+", text):
        return terms.constant(int(text[2:], 16), bits(4 * (len(text) - 2)))
    if text in script.declared or text in script.defined:
        return _applied(script, text, [])
    raise Illtyped(f"{text[:40]} is not declared")


def holds(script: Script, model: str, where: str) -> str | None:
    """None where every assertion is true in the model, the definitions of what the script declares; else why not.

    InputError for a text that is no such model.
    """
    known = Script(sorts=set(script.sorts))
    expressions = _read(model, where)
    if len(expressions) == 1 and isinstance(expressions[0], list) and expressions[0][:1] not in (["define-fun"],):
        expressions = [each for each in expressions[0] if each != "model"]
    for expression in expressions:
        try:
            match expression:
                case ["define-fun", str(name), [*_], _, _] if name in script.declared and name not in known.defined:
                    definition = _definition(known, expression)
                    gives = Signature(tuple(sort for _, sort in definition.parameters), definition.gives)
                    if gives != script.declared[name]:
                        raise Illtyped(f"{name[:40]} is declared otherwise")
                    known.defined[name] = definition
                case _:
                    raise Illtyped(f"{_shown(expression)} defines nothing that the problem declares")
        except (Illtyped, ValueError, RecursionError) as error:
            raise InputError(
                f"This is no model: {error}.", where=where, fix="Write (define-fun NAME ...) for each."
            ) from None

    def meaning(term: Term, args: list[Value]) -> Value:
        if term.name not in known.defined:
            raise Illtyped(f"{term.name} has no value")
        constants = [known.terms.constant(value, arg.sort) for value, arg in zip(args, term.args, strict=True)]
        body = _applied(known, term.name, constants)
        return evaluate([body], _undeclared)[0]

    try:
        values = evaluate(script.assertions, meaning)
    except (Illtyped, ValueError, RecursionError) as error:
        raise InputError(f"This is no model: {error}.", where=where, fix="Define whatever is declared.") from None
    return next((f"assertion {number} is false" for number, value in enumerate(values, 1) if value is not True), None)


def _undeclared(term: Term, args: list[Value]) -> Value:
    raise Illtyped(f"{term.name} has no value")


def written(value: Value, sort: Sort) -> str:
    """A value as SMT-LIB has it."""
    if sort == BOOL:
        return "true" if value else "false"
    if isinstance(value, str):
        return f"(as {value} {symbol(sort)})"
    if sort in (INT, REAL):
        fraction = Fraction(value)
        text = f"{abs(fraction.numerator)}" + ".0" * (sort == REAL)
        if fraction.denominator != 1:
            text = f"(/ {text} {fraction.denominator}.0)"
        return f"(- {text})" if fraction < 0 else text
    return f"(_ bv{value} {sort.split()[-1][:-1]})"


def symbol(name: str) -> str:
    """A name as SMT-LIB has it."""
    return name if re.fullmatch(r"[A-Za-z~!@$%^&*_+=<>.?/-][\w~!@$%^&*+=<>.?/-]*", name, re.ASCII) else f"|{name}|"


def _read(text: str, where: str) -> list[Expression]:
    """The expressions of a text, as nested lists of words."""
    top: list[Expression] = []
    opened: list[list[Expression]] = [top]
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None or len(opened) > DEEPEST:
            line = text.count("\n", 0, at) + 1
            what = "is no SMT-LIB" if found is None else f"has more than {DEEPEST} open brackets"
            raise InputError(f"Line {line} {what}.", where=where, fix="Mend it; `let` keeps terms flat.")
        at = found.end()
        token = found["plain"]
        if token == "(":
            inner: list[Expression] = []
            opened[-1].append(inner)
            opened.append(inner)
        elif token == ")":
            if len(opened) == 1:
                line = text.count("\n", 0, at) + 1
                raise InputError(f"Line {line} closes what is not open.", where=where, fix="Drop a bracket.")
            opened.pop()
        elif token or found["quoted"] is not None or found["text"]:
            opened[-1].append(token or (found["quoted"] if found["quoted"] is not None else found["text"]))
    if len(opened) > 1:
        raise InputError(f"{len(opened) - 1} brackets are never closed.", where=where, fix="Is the file whole?")
    return top


def _shown(expression: Expression) -> str:
    text = expression if isinstance(expression, str) else f"({' '.join(map(_shown, expression[:6]))})"
    return text[:60]
