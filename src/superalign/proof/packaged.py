"""Makes a command of a solver that PySAT holds: `python -m superalign.proof.packaged NAME FORMULA PROOF`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from superalign.proof.formula import Formula, parse_dimacs, read_text, write_model
from superalign.proof.solvers import SATISFIABLE, UNSATISFIABLE

UNKNOWN = 0


def solve(name: str, formula: Formula) -> tuple[list[int] | None, str]:
    """A model, or None and a proof in DRAT's text form."""
    if () in formula.clauses:  # not every solver of PySAT takes one
        return None, "0\n"
    from pysat.solvers import Solver

    with Solver(name=name, bootstrap_with=[list(clause) for clause in formula.clauses], with_proof=True) as solver:
        if solver.solve():
            return _within(solver.get_model(), formula.variables), ""
        steps: Sequence[str] = solver.get_proof() or ()
        return None, "".join(f"{step}\n" for step in steps if step.strip() != "0") + "0\n"


def _within(model: Sequence[int], variables: int) -> list[int]:
    """Without variables that the solver added."""
    return [literal for literal in model if abs(literal) <= variables]


def main(name: str, formula: str, proof: str) -> int:
    """Print the model or write the proof; the exit code says which."""
    try:
        model, steps = solve(name, parse_dimacs(read_text(Path(formula))))
    except MemoryError:
        print("it ran out of memory")
        return UNKNOWN
    if model is not None:
        print(write_model(model))
        return SATISFIABLE
    Path(proof).write_text(steps, encoding="ascii")
    return UNSATISFIABLE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
