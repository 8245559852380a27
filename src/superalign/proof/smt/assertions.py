"""Assertions in SMT-LIB files: satisfied by a model, or contradictory by lemmas and a DRAT proof."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress
from operator import not_
from pathlib import Path

from superalign import __version__
from superalign.contracts.errors import InputError
from superalign.proof.clauses import MODEL_KERNEL, Settled, settle
from superalign.proof.drat import parse_drat, write_drat
from superalign.proof.formula import parse_model, read_text
from superalign.proof.kernels import check_all
from superalign.proof.processes import Limits, run
from superalign.proof.question import Asked, certificate
from superalign.proof.records import Answer, Attempt, Check
from superalign.proof.smt.lower import Lemma, Lowering
from superalign.proof.smt.reader import Script, holds, read_script
from superalign.proof.solvers import chosen
from superalign.provenance.digest import file_digest

LEMMA_KERNEL, SEARCH = "lemmas", "simplex"
RATIONAL = re.compile(r"-?[0-9]{1,2000}(/[1-9][0-9]{0,1999})?", re.ASCII)
INTEGER = re.compile(r"-?[0-9]{1,2000}", re.ASCII)


@dataclass(frozen=True)
class Lemmas:
    """Why linear arithmetic has no way out: what integers were compared with, and which literals contradict."""

    branches: tuple[tuple[int, int], ...] = ()
    lemmas: tuple[Lemma, ...] = ()

    def text(self) -> str:
        """The head of a certificate; a DRAT proof follows it."""
        branches = [f"b {variable} {bound}\n" for variable, bound in self.branches]
        lemmas = [f"l {' '.join(f'{at} {by}' for at, by in lemma)}\n" for lemma in self.lemmas]
        return "".join(branches + lemmas)


def prove_assertions(asked: Asked, limits: Limits, folder: Path) -> Answer:
    """Do these assertions contradict each other? Lemmas and a DRAT proof say yes, a model no."""
    text = read_text(asked.problem)
    script = read_script(text, str(asked.problem))
    about = Answer(
        status="unknown",
        says="",
        problem=asked.problem.name,
        sha256=file_digest(asked.problem),
        language="SMT-LIB 2",
    )
    lowering = _lowered(script, asked.problem)
    if asked.proof is not None:
        return _given(script, lowering, asked.proof, about, limits, folder)
    if not lowering.atoms:
        settled = settle(lowering.formula(), chosen(asked.solvers), limits, folder)
        if settled.certificate and settled.attempts[-1].claims == "satisfiable":
            true = set(parse_model(settled.certificate.read_text(encoding="ascii")))
            return _evaluated(script, lowering.model(true, {}), about, settled.attempts, folder)
        return _contradictory(Lemmas(), settled, about, folder)
    began = time.monotonic()
    found, lost = _searched(text, limits, folder)
    attempt = Attempt(by=SEARCH, seconds=time.monotonic() - began)
    if found is None:
        update = {
            "says": f"No certificate was proposed: {SEARCH}: {lost}.",
            "attempts": (attempt.model_copy(update={"note": lost}),),
        }
        return about.model_copy(update=update)
    if "model" in found:
        attempts = [attempt.model_copy(update={"claims": "satisfiable"})]
        return _evaluated(script, str(found["model"]), about, attempts, folder)
    lemmas = read_lemmas(found, SEARCH)
    check = added_up(lowering, lemmas)
    about = about.model_copy(update={"attempts": (attempt.model_copy(update={"claims": "unsatisfiable"}),)})
    if not check.accepted:
        return about.model_copy(update={"says": f"A lemma does not hold: {check.reason}.", "checks": (check,)})
    settled = settle(lowering.formula(lemmas.lemmas), chosen(asked.solvers), limits, folder)
    if settled.certificate and settled.attempts[-1].claims == "satisfiable":
        return about.model_copy(update={"says": "The lemmas leave a way out.", "checks": (check,)})
    settled.attempts[:0] = about.attempts
    return _contradictory(lemmas, settled, about, folder, check)


def _lowered(script: Script, problem: Path) -> Lowering:
    try:
        return Lowering(script)
    except ValueError as error:
        raise InputError(
            f"It can't be put into clauses: {error}.", where=str(problem), fix="Make it smaller."
        ) from None


def _searched(text: str, limits: Limits, folder: Path) -> tuple[dict[str, object] | None, str]:
    """What the search found, or None and why it found nothing."""
    problem, found = folder / "problem.smt2", folder / "found.json"
    problem.write_text(text, encoding="ascii")
    command = [sys.executable, "-m", "superalign.proof.smt.search", str(problem), str(found)]
    ended = run(command, limits, folder, errors=True)
    if ended.lost or ended.code or not found.is_file():
        said = ended.said.strip().splitlines()[-1:] or ["it came to no end"]
        return None, ended.lost or said[0][:200]
    return dict(json.loads(found.read_text(encoding="ascii"))), ""


def read_lemmas(found: Mapping[str, object], where: str) -> Lemmas:
    """The search's lemmas, read as strictly as those of a certificate. InputError where they are none."""
    branches, lemmas = found.get("branches"), found.get("lemmas")
    if not isinstance(branches, list) or not isinstance(lemmas, list):
        raise InputError("There are no lemmas.", where=where, fix="Give branches and lemmas.")
    lines = [f"b {' '.join(map(str, branch))}" for branch in branches]
    lines += [f"l {' '.join(str(part) for pair in lemma for part in pair)}" for lemma in lemmas]
    return _parsed("\n".join(lines), where)


def _parsed(text: str, where: str) -> Lemmas:
    branches, lemmas = [], []
    for number, line in enumerate(text.splitlines(), 1):
        kind, *words = line.split()
        right = (
            len(words) % 2 == 0
            and all(map(INTEGER.fullmatch, words[::2]))
            and all(map(RATIONAL.fullmatch, words[1::2]))
        )
        if not right or (kind == "b" and (len(words) != 2 or not INTEGER.fullmatch(words[1]))) or kind not in "bl":
            raise InputError(
                f"Line {number} is no lemma.", where=where, fix="Write: b VARIABLE BOUND, or l LITERAL TIMES ..."
            )
        if kind == "b":
            branches.append((int(words[0]), int(words[1])))
        else:
            lemmas.append([(int(at), Fraction(by)) for at, by in zip(words[::2], words[1::2], strict=True)])
    return Lemmas(tuple(branches), tuple(lemmas))


def added_up(lowering: Lowering, lemmas: Lemmas) -> Check:
    """Whether each lemma's inequalities contradict each other, by exact addition. Branches are made on the way."""
    began, wrong = time.monotonic(), ""
    try:
        for variable, bound in lemmas.branches:
            lowering.branch(variable, bound)
        wrong = next((f"lemma {i}" for i, each in enumerate(lemmas.lemmas, 1) if not lowering.follows(each)), "")
    except ValueError as error:
        wrong = str(error)
    return Check(
        kernel=LEMMA_KERNEL,
        version=__version__,
        accepted=not wrong,
        reason=wrong or f"{len(lemmas.lemmas)} lemmas add up",
        seconds=time.monotonic() - began,
    )


def _evaluated(script: Script, model: str, about: Answer, attempts: list[Attempt], folder: Path) -> Answer:
    """The answer that a model gives, if every assertion is true in it."""
    began = time.monotonic()
    try:
        why = holds(script, model, "model")
    except InputError as error:
        why = str(error)
    check = Check(
        kernel=MODEL_KERNEL,
        version=__version__,
        accepted=why is None,
        reason=why or "every assertion is true",
        seconds=time.monotonic() - began,
    )
    about = about.model_copy(update={"checks": (check,), "attempts": tuple(attempts)})
    if why is not None:
        return about.model_copy(update={"says": f"{MODEL_KERNEL} did not accept the model: {why}."})
    kept = folder / "model.smt2"
    kept.write_text(model, encoding="ascii")
    says = "The assertions can be satisfied: every one of them is true in the model."
    return about.model_copy(update={"status": "refuted", "says": says, "certificate": certificate("smt-model", kept)})


def _contradictory(lemmas: Lemmas, settled: Settled, about: Answer, folder: Path, *before: Check) -> Answer:
    """The answer that lemmas and a proof give, if all accept."""
    checks = (*before, *settled.checks)
    about = about.model_copy(update={"checks": checks, "attempts": tuple(settled.attempts)})
    if settled.certificate is None or not all(check.accepted for check in checks):
        return about.model_copy(update={"says": f"No certificate was accepted: {settled.refused}."})
    kept = folder / "proof.txt"
    kept.write_text(lemmas.text() + settled.certificate.read_text(encoding="ascii"), encoding="ascii")
    names = " and ".join(check.kernel for check in settled.checks)
    added = f" Lemmas of arithmetic that add up: {len(lemmas.lemmas)}." if lemmas.lemmas else ""
    says = f"The assertions are contradictory: {names} accept the proof.{added}"
    return about.model_copy(update={"status": "proved", "says": says, "certificate": certificate("smt-proof", kept)})


def _given(script: Script, lowering: Lowering, path: Path, about: Answer, limits: Limits, folder: Path) -> Answer:
    """What the kernels make of a certificate from elsewhere: a model in SMT-LIB, or lemmas and a DRAT proof."""
    text = read_text(path)
    attempt = Attempt(by=path.name)
    body = text.removeprefix("sat\n")  # as solvers print it before a model
    if body.lstrip().startswith("("):
        return _evaluated(script, body, about, [attempt.model_copy(update={"claims": "satisfiable"})], folder)
    lines = text.splitlines(keepends=True)
    of_arithmetic = [line.startswith(("b ", "l ")) for line in lines]
    lemmas = _parsed("".join(compress(lines, of_arithmetic)), str(path))
    steps = parse_drat("".join(compress(lines, map(not_, of_arithmetic))), str(path))
    check = added_up(lowering, lemmas)
    problem, proof = folder / "formula.cnf", folder / "given"
    problem.write_text(lowering.formula(lemmas.lemmas if check.accepted else ()).dimacs(), encoding="ascii")
    proof.write_text(write_drat(steps), encoding="ascii")
    settled = Settled(
        proof, [attempt.model_copy(update={"claims": "unsatisfiable"})], check_all(problem, proof, limits)
    )
    if not (check.accepted and all(each.accepted for each in settled.checks)):
        settled.certificate = None
        settled.checks = (check, *settled.checks)
        return _contradictory(lemmas, settled, about, folder)
    return _contradictory(lemmas, settled, about, folder, check)
