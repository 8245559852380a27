"""Theorems in Rocq (Coq): `coqc` compiles the file, and `coqchk`, a program of its own, checks what came out.

Nothing may be assumed: theorems that rest on an axiom, or on a check that was switched off, are not proved here.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

from superalign.contracts.errors import InputError
from superalign.proof.formula import read_text
from superalign.proof.processes import Limits, run
from superalign.proof.question import Asked, certificate
from superalign.proof.records import Answer, Attempt, Check
from superalign.proof.solvers import program
from superalign.provenance.digest import file_digest

# Commands that read or write other files, load code, or switch checks off.
FORBIDDEN = re.compile(
    r"\b(Redirect|Extraction|Extract|Load|LoadPath|ML|Cd|Pwd|Drop|Bypass|Unset|Typing|Positivity|Guard|Checking|"
    r"bypass_check|Dump|Separate|Recursive)\b"
)
THEOREM = re.compile(r"^prf \d+:\d+ <> (\S+)", re.MULTILINE)
ASSUMES = re.compile(r"^\* (Axioms|Constants/Inductives|Inductives)([^:]*): *(.*(?:\n {4,}\S.*)*)", re.MULTILINE)
SAFE = 4  # lines of the summary that have to say <none>


def prove_theorems(asked: Asked, limits: Limits, folder: Path) -> Answer:
    """Are the file's theorems proved? `coqchk` says yes, and that nothing is assumed."""
    if asked.proof or asked.solvers:
        raise InputError("A file for Rocq holds its proofs.", where=str(asked.problem), fix="Leave the option out.")
    text = read_text(asked.problem)
    if found := FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise InputError(
            f"Line {line} has the word {found[0]}, which a proof needs not.", where=str(asked.problem), fix="Drop it."
        )
    about = Answer(
        status="unknown",
        says="",
        problem=asked.problem.name,
        sha256=file_digest(asked.problem),
        language="Rocq",
    )
    compiler, checker = program("coqc"), program("coqchk")
    if compiler is None or checker is None:
        return about.model_copy(update={"says": "coqc and coqchk are not installed: apt-get install coq."})
    (folder / "theory.v").write_text(text, encoding="ascii")
    began = time.monotonic()
    ended = run([compiler, "-q", "-R", ".", "", "theory.v"], limits, folder, errors=True)
    attempt = Attempt(by="coqc", note=ended.lost or _said(ended.said), seconds=time.monotonic() - began)
    if ended.code != 0:
        why = attempt.note or "it finds an error"
        return about.model_copy(update={"says": f"coqc does not accept the file: {why}.", "attempts": (attempt,)})
    theorems = THEOREM.findall((folder / "theory.glob").read_text(encoding="utf-8", errors="replace"))
    if not theorems:
        raise InputError("The file states no theorem.", where=str(asked.problem), fix="State one and prove it.")
    check = _checked(checker, limits, folder)
    compiled = attempt.model_copy(update={"note": f"compiled {len(theorems)} theorems"})
    about = about.model_copy(update={"attempts": (compiled,), "checks": (check,)})
    if not check.accepted:
        return about.model_copy(update={"says": f"coqchk did not accept the theorems: {check.reason}."})
    says = f"coqchk accepts, with nothing assumed: {', '.join(theorems)}."
    kept = certificate("vo", folder / "theory.vo")
    return about.model_copy(update={"status": "proved", "says": says, "certificate": kept})


def _checked(checker: str, limits: Limits, folder: Path) -> Check:
    began = time.monotonic()
    version = run([checker, "--version"], limits).said.split("version ")[-1].split()
    ended = run([checker, "-silent", "-o", "-R", ".", "", "theory"], limits, folder, errors=True)
    assumed = {(name + more).strip(): " ".join(what.split()) for name, more, what in ASSUMES.findall(ended.said)}
    unsafe = [f"{name}: {what}" for name, what in assumed.items() if what != "<none>"]
    if ended.lost or ended.code != 0:
        reason = ended.lost or "it found an error"
    elif unsafe:
        reason = "it rests on " + "; ".join(unsafe)
    else:
        reason = "checked, and nothing is assumed" if len(assumed) == SAFE else "its summary can't be read"
    return Check(
        kernel="coqchk",
        version=version[0] if version else "",
        accepted=ended.code == 0 and not ended.lost and not unsafe and len(assumed) == SAFE,
        reason=reason,
        seconds=time.monotonic() - began,
    )


def _said(text: str) -> str:
    return " ".join(text.split())[-300:]
