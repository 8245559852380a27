"""Sets of clauses in DIMACS files: contradictory, by a DRAT proof, or satisfied by a model."""

from __future__ import annotations

from pathlib import Path

from superalign.proof.clauses import Settled, evaluated, settle
from superalign.proof.drat import parse_drat, write_drat
from superalign.proof.formula import Formula, parse_dimacs, parse_model, read_text, write_model
from superalign.proof.kernels import check_all
from superalign.proof.processes import Limits
from superalign.proof.question import Asked, certificate
from superalign.proof.records import Answer, Attempt
from superalign.proof.solvers import chosen
from superalign.provenance.digest import file_digest


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
    is_model = next((line for line in text.split("\n") if line.strip() and line.split()[0] != "c"), "")[:1] in (
        "s",
        "v",
    )
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
