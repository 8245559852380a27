"""The kernels that decide on a DRAT proof. They share no code; all of them have to accept it.

Run as a process of its own, `python -m superalign.proof.kernels NAME FORMULA PROOF`, so that time and memory have ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from superalign import __version__
from superalign.contracts.errors import InputError
from superalign.proof.drat import Refused, Step, check, parse_drat
from superalign.proof.formula import Formula, parse_dimacs, read_text
from superalign.proof.processes import Limits, run
from superalign.proof.records import Check

ACCEPTED, REFUSED = 0, 1


def dratify_check(formula: Formula, steps: Sequence[Step]) -> None:
    """Refused unless dratify's checker in Python accepts the proof."""
    from dratify import CNF, check_proof, from_dimacs

    clauses = CNF(formula.variables)
    for clause in formula.clauses:
        clauses.add_dimacs(clause)
    lines = [("d" if step.deletes else "a", tuple(map(from_dimacs, step.literals))) for step in steps]
    try:
        found = check_proof(clauses, lines, engine="python")
    except ValueError as error:
        raise Refused(str(error)) from None
    if not found.ok:
        raise Refused(f"step {found.failed_step}: {found.reason}" if found.failed_step > 0 else found.reason)


KERNELS: dict[str, Callable[[Formula, Sequence[Step]], None]] = {"superalign": check, "dratify": dratify_check}


def kernel_version(name: str) -> str | None:
    """None where the kernel is not installed."""
    try:
        return __version__ if name == "superalign" else version(name)
    except PackageNotFoundError:
        return None


def check_all(formula: Path, proof: Path, limits: Limits) -> tuple[Check, ...]:
    """What each kernel says of the proof, in processes of their own. One that is missing accepts nothing."""
    return tuple(_checked(name, formula, proof, limits) for name in KERNELS)


def _checked(name: str, formula: Path, proof: Path, limits: Limits) -> Check:
    installed = kernel_version(name)
    if installed is None:
        missing = "not installed: pip install 'superalign[research]'"
        return Check(kernel=name, version="", accepted=False, reason=missing)
    began = time.monotonic()
    ended = run([sys.executable, "-m", "superalign.proof.kernels", name, str(formula), str(proof)], limits)
    return Check(
        kernel=name,
        version=installed,
        accepted=ended.code == ACCEPTED,
        reason=ended.lost or ended.said.strip() or "it died",
        seconds=time.monotonic() - began,
    )


def main(name: str, formula: str, proof: str) -> int:
    """Print what the kernel says, and return whether it accepts."""
    try:
        KERNELS[name](parse_dimacs(read_text(Path(formula))), parse_drat(read_text(Path(proof))))
    except (Refused, InputError) as error:
        print(error)
        return REFUSED
    except MemoryError:
        print("it ran out of memory")
        return REFUSED
    print("every step holds, up to the empty clause")
    return ACCEPTED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
