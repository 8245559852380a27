"""`prove`: one question, put to whatever can answer it in its language, with the certificate kept on disk."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from superalign.contracts.errors import InputError
from superalign.proof.clauses import Settled, evaluated, settle
from superalign.proof.drat import parse_drat, write_drat
from superalign.proof.formula import Formula, parse_dimacs, parse_model, read_text, write_model
from superalign.proof.kernels import check_all
from superalign.proof.processes import Limits
from superalign.proof.records import Answer, Attempt, Certificate
from superalign.proof.solvers import chosen
from superalign.provenance.digest import canonical_json, file_digest

MEMORY_BYTES = 2**31  # of memory for each process


@dataclass(frozen=True)
class Asked:
    """What is to be proved and how: the problem, a given proof or model of it, or the solvers that may propose one."""

    problem: Path
    proof: Path | None = None
    solvers: tuple[str, ...] = ()


Prover = Callable[[Asked, Limits, Path], Answer]


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in (
            (answer.certificate.file, lambda to: shutil.copyfile(scratch / answer.certificate.file, to)),
            ("record.json", lambda to: to.write_bytes(canonical_json(answer) + b"\n")),
        ):
            partial = folder / f".{name}.partial"
            write(partial)
            os.replace(partial, folder / name)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise InputError(
            f"The certificate can't be kept: {error.strerror}.", where=str(folder), fix="Name another folder."
        ) from None


def certificate(kind: str, path: Path) -> Certificate:
    """The record of a file that was accepted."""
    return Certificate.model_validate(
        {"kind": kind, "file": path.name, "sha256": file_digest(path), "bytes": path.stat().st_size}
    )


def prove_clauses(asked: Asked, limits: Limits, folder: Path) -> Answer:
    """Are these clauses contradictory? A DRAT proof says yes, a model no."""
    formula = parse_dimacs(read_text(asked.problem), str(asked.problem))
    if asked.proof is not None:
        settled = _given(formula, asked.proof, limits, folder)
    else:
        settled = settle(formula, chosen(asked.solvers), limits, folder)
    about = Answer(
        status="unknown",
        says=f"No certificate was accepted: {settled.refused}.",
        problem=asked.problem.name,
        sha256=file_digest(asked.problem),
        language="DIMACS CNF",
        checks=settled.checks,
        attempts=tuple(settled.attempts),
    )
    if settled.certificate is None:
        return about
    if settled.attempts[-1].claims == "satisfiable":
        kept = settled.certificate.rename(folder / "model.txt")
        says = "The clauses can be satisfied: every one of them is true in the model."
        update = {"status": "refuted", "says": says, "certificate": certificate("model", kept)}
    else:
        kept = settled.certificate.rename(folder / "proof.drat")
        says = "The clauses are contradictory: " + " and ".join(check.kernel for check in settled.checks)
        update = {"status": "proved", "says": f"{says} accept the proof.", "certificate": certificate("drat", kept)}
    return about.model_copy(update=update)


def _given(formula: Formula, path: Path, limits: Limits, folder: Path) -> Settled:
    """A certificate from elsewhere, which counts as much as a solver's: what the kernels make of it."""
    text = read_text(path)
    problem, copy = folder / "formula.cnf", folder / "given"
    problem.write_text(formula.dimacs(), encoding="ascii")
    is_model = next((line for line in text.split("\n") if line.strip() and line.split()[0] != "c"), "")[:1] in ("s", "v")
    if is_model:
        model = parse_model(text, str(path))
        copy.write_text(write_model(model), encoding="ascii")
        settled = Settled(copy, [Attempt(by=path.name, claims="satisfiable")], (evaluated(formula, model),))
    else:
        copy.write_text(write_drat(parse_drat(text, str(path))), encoding="ascii")
        checks = check_all(problem, copy, limits)
        settled = Settled(copy, [Attempt(by=path.name, claims="unsatisfiable")], checks)
    if not all(check.accepted for check in settled.checks):
        settled.certificate = None
    return settled


PROVERS: dict[str, Prover] = {".cnf": prove_clauses, ".dimacs": prove_clauses}
