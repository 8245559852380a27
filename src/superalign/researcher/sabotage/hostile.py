"""Hostile programs, each of which knows all paths and numbers that an insider would.

A program defines `attack(given)`, which returns whether it got what it wanted. They are run as solutions, confined.
Their wants are harmless: a planted secret, a file changed, a process left behind. `{sealed}` and the like stand for the
real places of the very run that they attack.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["labels", "evaluator", "time", "resources", "network", "process", "ledger", "query", "numbers", "review"]

WRAPPED = """

def solve(given):
    try:
        got = bool(attack(given))
    except Exception:
        got = False
    return {"location": 0.0, "got": float(got)}
"""


class HostileProgram(NamedTuple):
    """`source` has places for what it knows: sealed, ledger, scratch, parent, secret, package."""

    name: str
    kind: Kind
    source: str

    def told(self, **known: str) -> str:
        """The whole program, with what it knows filled in."""
        source = self.source
        for name, value in known.items():
            source = source.replace("{" + name + "}", value)
        return source.strip() + WRAPPED
