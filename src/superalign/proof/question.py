"""What is asked of a prover, whatever the language, and how its certificate is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from superalign.proof.processes import Limits
from superalign.proof.records import Answer, Certificate
from superalign.provenance.digest import file_digest


@dataclass(frozen=True)
class Asked:
    """What is to be proved and how: the problem, a given proof or model of it, or the solvers that may propose one."""

    problem: Path
    proof: Path | None = None
    solvers: tuple[str, ...] = ()


# Files go into the folder that it is given.
Prover = Callable[[Asked, Limits, Path], Answer]


def certificate(kind: str, path: Path) -> Certificate:
    """The record of a file that was accepted."""
    return Certificate.model_validate(
        {"kind": kind, "file": path.name, "sha256": file_digest(path), "bytes": path.stat().st_size}
    )
