"""Our kernel for DRAT proofs, and the reading of their text.

A proof is a list of clauses to add or to delete. An added clause has to follow by unit propagation (RUP), or to be a
resolution asymmetric tautology on its first literal (RAT): then the clauses can be satisfied after it if they could be
before (Wetzler, Heule and Hunt, 2014). The empty clause ends the proof: nothing satisfies the formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from superalign.contracts.errors import InputError
from superalign.proof.formula import INTEGER, Formula, row


@dataclass(frozen=True)
class Step:
    """One line of a proof. The first literal of an added clause is its pivot."""

    literals: tuple[int, ...]
    deletes: bool = False


class Refused(Exception):
    """The proof does not hold; the text says where and why."""


def parse_drat(text: str, where: str = "DRAT") -> list[Step]:
    """The steps of a proof in DRAT's text form, one a line. InputError names the line that is none."""
    steps = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0] == "c":
            continue
        deletes = words[0] == "d"
        literals = words[deletes:]
        whole = literals and literals[-1] == "0" and "0" not in literals[:-1]
        if not whole or not all(map(INTEGER.fullmatch, literals)):
            raise InputError(
                f"Line {number} is no step of a proof.",
                where=where,
                fix="Write a step a line: literals and 0, with d before them to delete.",
            )
        steps.append(Step(tuple(int(literal) for literal in literals[:-1]), deletes))
    return steps


def write_drat(steps: Iterable[Step]) -> str:
    """The text that `parse_drat` reads."""
    return "".join(("d " if step.deletes else "") + row(step.literals) for step in steps)


def check(formula: Formula, steps: Sequence[Step]) -> None:
    """Refused unless every step holds, up to one that adds the empty clause."""
    most = formula.variables + sum(len(step.literals) for step in steps)
    if any(abs(literal) > most or not literal for step in steps for literal in step.literals):
        raise Refused(f"it names 0, or a variable above {most}: more than formula and proof have")
    kernel = Kernel(formula, max((abs(literal) for step in steps for literal in step.literals), default=0))
    for number, step in enumerate(steps, 1):
        if step.deletes:
            kernel.delete(step.literals)
        elif not kernel.follows(step.literals) and not kernel.harmless(step.literals):
            raise Refused(f"step {number} adds a clause that is neither RUP nor RAT: {row(step.literals).strip()}")
        elif step.literals:
            kernel.add(step.literals)
        else:
            return
    raise Refused("it ends without the empty clause")


class Kernel:
    """Clauses, and what unit propagation makes of them. `value[literal]` is 1 where it is true, -1 where it is false.

    What propagation finds without assumptions stays. So a clause that found such a literal is never deleted, as
    otherwise RAT would be judged without a clause that still has its effect; kept clauses only make a kernel stricter.
    """

    def __init__(self, formula: Formula, variables: int) -> None:
        size = 2 * max(formula.variables, variables) + 1
        self._value = [0] * size
        self._watchers: list[list[list[int]]] = [[] for _ in range(size)]
        self._trail: list[int] = []
        self._kept: dict[frozenset[int], list[list[int]]] = {}
        self._contradictory = False
        for clause in formula.clauses:
            self.add(clause)

    def add(self, literals: Sequence[int]) -> None:
        """Add a clause without a check."""
        value = self._value
        clause = sorted(dict.fromkeys(literals), key=lambda literal: value[literal] < 0)  # false ones last
        self._kept.setdefault(frozenset(clause), []).append(clause)
        if any(value[literal] > 0 or -literal in clause for literal in clause):
            return  # true, and stays so
        if sum(value[literal] == 0 for literal in clause) > 1:
            self._watchers[clause[0]].append(clause)
            self._watchers[clause[1]].append(clause)
        elif not clause or value[clause[0]] < 0:
            self._contradictory = True
        else:
            self._contradictory = self._assume(clause[0]) or self._contradictory

    def delete(self, literals: Sequence[int]) -> None:
        """Delete a clause, if it is there and has found no literal."""
        same = self._kept.get(frozenset(literals), [])
        value = self._value
        true = sum(value[literal] > 0 for literal in set(literals))
        false = sum(value[literal] < 0 for literal in set(literals))
        if same and not (true == 1 and true + false == len(set(literals))):
            same.pop().clear()

    def follows(self, literals: Sequence[int]) -> bool:
        """Whether unit propagation refutes the clause's negation (RUP)."""
        if self._contradictory:
            return True
        mark = len(self._trail)
        refuted = any(self._value[literal] > 0 or self._assume(-literal) for literal in literals)
        for literal in self._trail[mark:]:
            self._value[literal] = self._value[-literal] = 0
        del self._trail[mark:]
        return refuted

    def harmless(self, literals: Sequence[int]) -> bool:
        """Whether each resolvent on the first literal is RUP or a tautology (RAT)."""
        if not literals:
            return False
        pivot, clause = literals[0], set(literals)
        for other in chain.from_iterable(self._kept.values()):
            if -pivot not in other:
                continue
            rest = [literal for literal in other if literal != -pivot]
            if any(-literal in clause for literal in rest):
                continue
            if not self.follows([*literals, *rest]):
                return False
        return True

    def _assume(self, literal: int) -> bool:
        """Make the literal true and propagate; whether that is contradictory."""
        value, watchers, trail = self._value, self._watchers, self._trail
        if value[literal]:
            return value[literal] < 0
        value[literal], value[-literal] = 1, -1
        done = len(trail)
        trail.append(literal)
        while done < len(trail):
            false = -trail[done]
            done += 1
            watching = watchers[false]
            watchers[false] = staying = []
            for position, clause in enumerate(watching):
                if not clause:
                    continue  # deleted
                if clause[0] == false:
                    clause[0], clause[1] = clause[1], false
                first = clause[0]
                if value[first] > 0:
                    staying.append(clause)
                    continue
                for index in range(2, len(clause)):
                    if value[clause[index]] >= 0:
                        clause[1], clause[index] = clause[index], false
                        watchers[clause[1]].append(clause)
                        break
                else:
                    staying.append(clause)
                    if value[first] < 0:
                        staying.extend(watching[position + 1 :])
                        return True
                    value[first], value[-first] = 1, -1
                    trail.append(first)
        return False
