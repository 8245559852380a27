"""Looks for a model of assertions with linear arithmetic, or for lemmas that leave none. It is not trusted.

Run as a process of its own, `python -m superalign.proof.smt.search PROBLEM FOUND`: a SAT solver proposes which
inequalities hold, and the simplex method finds numbers, or a lemma. Where an integer comes out broken, the solver is
asked to decide on which side of it the integer is.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from math import floor
from pathlib import Path

from superalign.proof.formula import read_text
from superalign.proof.smt.linear import bounds
from superalign.proof.smt.lower import Lemma, Lowering
from superalign.proof.smt.reader import read_script
from superalign.proof.smt.simplex import Contradiction, Feasible, solve

SOLVER = "cadical195"


def search(lowering: Lowering) -> dict[str, object]:
    """`model` as SMT-LIB, or `branches` and `lemmas` with which the clauses contradict each other."""
    from pysat.solvers import Solver

    branches: list[tuple[int, int]] = []
    lemmas: list[Lemma] = []
    fed = 0
    with Solver(name=SOLVER) as solver:
        while True:
            for clause in lowering.circuit.clauses[fed:]:
                solver.add_clause(list(clause))
            fed = len(lowering.circuit.clauses)
            if not solver.solve():
                return {"branches": branches, "lemmas": [[(at, str(by)) for at, by in lemma] for lemma in lemmas]}
            true = set(solver.get_model())
            literals = [atom if atom in true else -atom for atom in lowering.atoms]
            said = [bounds(lowering.atoms[abs(each)], each > 0, lowering.integers) for each in literals]
            match solve(said):
                case Contradiction(multiples):
                    lemmas.append([(literals[place], times) for place, times in sorted(multiples.items())])
                    solver.add_clause([-literal for literal, _ in lemmas[-1]])
                case Feasible(values):
                    whole = {number: values.get(number, Fraction(0)) for number in range(1, lowering.numbers + 1)}
                    broken = [each for each in sorted(lowering.integers) if whole[each].denominator != 1]
                    if not broken:
                        return {"model": lowering.model(true, whole)}
                    branches.append((broken[0], floor(whole[broken[0]])))
                    lowering.branch(*branches[-1])


def main(problem: str, found: str) -> int:
    """Write what was found."""
    lowering = Lowering(read_script(read_text(Path(problem)), problem))
    Path(found).write_text(json.dumps(search(lowering)), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
