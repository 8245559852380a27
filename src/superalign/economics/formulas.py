"""Arithmetic that is written once, as text, and read twice: by numpy, and by the script of the interactive page."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "samples"]

OPERATORS: dict[type[ast.operator], tuple[Callable[[Any, Any], Any], str]] = {
    ast.Add: (operator.add, "+"),
    ast.Sub: (operator.sub, "-"),
    ast.Mult: (operator.mul, "*"),
    ast.Div: (operator.truediv, "/"),
    ast.Pow: (operator.pow, "**"),
}
# `positive` is 1 above 0, else 0: its mean over samples is a probability.
FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "min": (np.minimum, "Math.min"),
    "max": (np.maximum, "Math.max"),
    "positive": (lambda value: np.where(value > 0, 1.0, 0.0), "positive"),
}


def evaluated(formula: str, values: Mapping[str, Values]) -> Values:
    """The formula's value, sample by sample. KeyError for a name that has no value."""

    def of(node: ast.expr) -> Any:
        match node:
            case ast.BinOp(left=left, op=operation, right=right):
                return OPERATORS[type(operation)][0](of(left), of(right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return FUNCTIONS[name][0](*map(of, arguments))
            case ast.Name(id=name):
                return values[name]
            case ast.Constant(value=int() | float() as number):
                return float(number)
        raise ValueError(f"no arithmetic: {ast.unparse(node)}")

    return np.asarray(of(_parsed(formula)), dtype=np.float64)


def javascript(formula: str) -> str:
    """The same arithmetic as an expression of JavaScript, in which `v` holds the values by name."""

    def of(node: ast.expr) -> str:
        match node:
            case ast.BinOp(left=left, op=operation, right=right):
                return f"({of(left)} {OPERATORS[type(operation)][1]} {of(right)})"
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return f"{FUNCTIONS[name][1]}({', '.join(map(of, arguments))})"
            case ast.Name(id=name):
                return f"v.{name}"
            case ast.Constant(value=int() | float() as number):
                return repr(number)
        raise ValueError(f"no arithmetic: {ast.unparse(node)}")

    return of(_parsed(formula))


def names(formula: str) -> set[str]:
    """The values that the formula needs."""
    return {node.id for node in ast.walk(_parsed(formula)) if isinstance(node, ast.Name)} - set(FUNCTIONS)


@cache
def _parsed(formula: str) -> ast.expr:
    return ast.parse(formula, mode="eval").body
