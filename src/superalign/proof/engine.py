"""`prove`: one question, put to whatever can answer it in its language, with the certificate kept on disk."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from superalign.contracts.errors import InputError
from superalign.proof.dimacs import prove_clauses
from superalign.proof.lean import prove_in_lean
from superalign.proof.processes import Limits
from superalign.proof.question import Asked, Prover
from superalign.proof.records import Answer
from superalign.proof.rocq import prove_theorems
from superalign.proof.smt.assertions import prove_assertions
from superalign.provenance.digest import canonical_json

MEMORY_BYTES = 2**31  # of memory for each process


# By the ending of the file's name.
PROVERS: dict[str, Prover] = {
    ".cnf": prove_clauses,
    ".dimacs": prove_clauses,
    ".v": prove_theorems,
    ".smt2": prove_assertions,
    ".lean": prove_in_lean,
}


def prove(asked: Asked, *, seconds: float = 60, memory: int = MEMORY_BYTES, keep: Path | None = None) -> Answer:
    """The answer, with its certificate and record in the folder `keep` where one is given and something was verified.

    InputError where the problem or the given proof can't be read, or nothing here knows its language.
    """
    prover = _prover(asked.problem)
    began = time.monotonic()
    with TemporaryDirectory(prefix="superalign-proof-") as scratch:
        found = prover(asked, Limits(began + seconds, memory), Path(scratch))
        answer = found.model_copy(update={"seconds": time.monotonic() - began})
        if keep is not None and answer.certificate is not None:
            _keep(answer, Path(scratch), keep)
    return answer


def _prover(problem: Path) -> Prover:
    if problem.suffix not in PROVERS:
        raise InputError(
            f"Nothing here knows the language of {problem.name}.",
            where=str(problem),
            fix=f"Its name has to end in one of {', '.join(PROVERS)}.",
        )
    return PROVERS[problem.suffix]


def _keep(answer: Answer, scratch: Path, folder: Path) -> None:
    """The record comes last: where it is, the certificate is whole."""
    assert answer.certificate
    (scratch / "record.json").write_bytes(canonical_json(answer) + b"\n")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (answer.certificate.file, "record.json"):
            partial = folder / f".{name}.partial"
            shutil.copyfile(scratch / name, partial)
            os.replace(partial, folder / name)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"The certificate can't be kept: {error.strerror}.", where=str(folder), fix="Name another folder."
        ) from None
