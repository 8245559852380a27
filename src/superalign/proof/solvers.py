"""Solvers, which propose. Each is a command that keeps to the SAT competition's form: exit code 10 or 20, the model on
stdout in lines `v`, and a DRAT proof in a file.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from superalign.contracts.errors import InputError, UnknownName
from superalign.proof.formula import parse_model
from superalign.proof.processes import Ended
from superalign.proof.records import Attempt

SATISFIABLE, UNSATISFIABLE = 10, 20  # exit codes


@dataclass(frozen=True)
class Solver:
    """`command` takes the formula's file and where the proof is to be written. `there` tells whether it can run."""

    name: str
    there: Callable[[], bool]
    command: Callable[[Path, Path], list[str]]


def program(name: str) -> str | None:
    """The path of a program, among those of this Python's environment too."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def _of_pysat(name: str) -> Solver:
    """A solver that PySAT holds; `packaged` makes a command of it."""
    return Solver(
        name,
        lambda: find_spec("pysat") is not None,
        lambda formula, proof: [sys.executable, "-m", "superalign.proof.packaged", name, str(formula), str(proof)],
    )


def _cadical(formula: Path, proof: Path) -> list[str]:
    return [program("cadical") or "cadical", "-q", "--no-binary", str(formula), str(proof)]


# In the order in which they get a processor.
SOLVERS = {
    solver.name: solver
    for solver in (
        _of_pysat("cadical195"),
        _of_pysat("glucose4"),
        Solver("cadical", lambda: program("cadical") is not None, _cadical),
        _of_pysat("lingeling"),
        _of_pysat("maplecm"),
    )
}


def chosen(names: tuple[str, ...] = ()) -> list[Solver]:
    """The solvers named, or all that can run here. InputError where one is unknown, or there is none."""
    for name in names:
        if name not in SOLVERS:
            raise UnknownName("solver", name, SOLVERS)
    wanted = [SOLVERS[name] for name in names or SOLVERS]
    able = [solver for solver in wanted if solver.there()]
    if not able or (names and len(able) < len(wanted)):
        missing = ", ".join(solver.name for solver in wanted if solver not in able)
        raise InputError(f"Not installed here: {missing}.", fix="Type: pip install 'superalign[research]'")
    return able


@dataclass(frozen=True)
class Proposed:
    """What a solver came to: a claim, with a model where it claims that there is one."""

    attempt: Attempt
    model: list[int]
    proof: Path


def understood(name: str, ended: Ended, proof: Path, seconds: float) -> Proposed:
    """What a solver's end says. Anything odd is no claim."""
    attempt, model = Attempt(by=name, seconds=seconds), list[int]()
    if ended.lost:
        return Proposed(attempt.model_copy(update={"note": ended.lost}), model, proof)
    if ended.code == SATISFIABLE:
        try:
            model = parse_model(ended.said)
        except InputError as error:
            return Proposed(attempt.model_copy(update={"note": str(error)}), [], proof)
        return Proposed(attempt.model_copy(update={"claims": "satisfiable"}), model, proof)
    if ended.code == UNSATISFIABLE:
        return Proposed(attempt.model_copy(update={"claims": "unsatisfiable"}), model, proof)
    said = ended.said.strip().splitlines()[-1:] or [f"it ended with exit code {ended.code}"]
    return Proposed(attempt.model_copy(update={"note": said[0][:200]}), model, proof)
