"""Expressions on one line, `blend(probe(layer(number=3), shrink=0.1), mean(centered(layer(number=5))), weight=0.5)`:
inputs in order, then parameters by name, their values as in JSON.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from superalign.contracts.errors import InputError
from superalign.contracts.research import Expression, Value

TOKEN = re.compile(
    r"""\s*(?:(?P<value>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"
        |-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![\w.])|(?:true|false)(?=\s*[,)]))
        |(?P<name>[a-zA-Z_]\w*)|(?P<mark>[(),=]))""",
    re.VERBOSE | re.ASCII,
)
LONGEST = 100_000  # characters
DEEPEST = 100


def written(expression: Expression) -> str:
    """The expression on one line."""
    parameters = (f"{name}={json.dumps(value)}" for name, value in expression.parameters.items())
    inside = ", ".join([*map(written, expression.inputs), *parameters])
    return f"{expression.part}({inside})"


def read(text: str) -> Expression:
    """The expression that was written. InputError, with the place, for anything else. Whether it is one of a language,
    a `Grammar` checks.
    """
    if len(text) > LONGEST:
        raise InputError(f"The expression has {len(text)} characters.", fix=f"Give at most {LONGEST}.")
    reader = _Reader(text)
    found = reader.expression(0)
    if text[reader.at :].strip():
        reader.fail("the end")
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def expression(self, depth: int) -> Expression:
        if depth >= DEEPEST:
            self.fail(f"at most {DEEPEST} levels")
        part = self.take("name", "the name of a part")
        self.mark("(")
        inputs: list[Expression] = []
        parameters: dict[str, Value] = {}
        while self.peek()[1] != ")":
            if inputs or parameters:
                self.mark(",")
            start = self.at
            name = self.take("name", "an input or a parameter")
            if self.peek()[1] == "=":
                self.mark("=")
                if name in parameters:
                    self.at = start
                    self.fail("another parameter, for this one is there already")
                parameters[name] = self.value()
            elif parameters:
                self.at = start
                self.fail("a parameter (inputs come first)")
            else:
                self.at = start
                inputs.append(self.expression(depth + 1))
        self.mark(")")
        return Expression(part=part, parameters=parameters, inputs=tuple(inputs))

    def value(self) -> Value:
        start = self.at
        text = self.take("value", 'a number, true, false or a "text"')
        try:
            found: Value = json.loads(text)
        except ValueError:  # thousands of digits
            found = math.inf
        if isinstance(found, float) and math.isinf(found):
            self.at = start
            self.fail("a number that is not so large")
        return found

    def mark(self, wanted: str) -> None:
        if self.peek()[1] != wanted:
            self.fail(repr(wanted))
        self.take("mark", repr(wanted))

    def take(self, kind: str, wanted: str) -> str:
        found, text = self.peek()
        if found != kind:
            self.fail(wanted)
        match = TOKEN.match(self.text, self.at)
        assert match
        self.at = match.end()
        return text

    def peek(self) -> tuple[str | None, str]:
        match = TOKEN.match(self.text, self.at)
        return (match.lastgroup, match[match.lastgroup]) if match and match.lastgroup else (None, "")

    def fail(self, wanted: str) -> NoReturn:
        there = self.text[self.at :].strip()[:40]
        raise InputError(
            f"The expression has {there!r} where {wanted} is wanted.",
            where=f"character {self.at + 1}",
            fix='Write part(input, ..., parameter=value, ...), as in probe(layer(number=3), kind="ridge").',
        )
