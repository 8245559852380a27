"""Lean: only what it says in a process of its own counts, and only of files that can't change what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from superalign.contracts.errors import InputError
from superalign.proof import lean
from superalign.proof.engine import prove
from superalign.proof.lean import stated
from superalign.proof.question import Asked
from superalign.proof.records import Answer

THEOREM = "theorem two : 1 + 1 = 2 := rfl\n"
# A lean that writes an .olean for whatever it is told to compile, and says of the audit what ANSWER says.
FAKE = """#!{python}
import os, sys
if "--version" in sys.argv:
    print("Lean (version 4.99.0, x86_64)")
elif "-o" in sys.argv:
    if "wrong" in open("Theory.lean", encoding="utf-8").read():
        print("Theory.lean:1:0: error: unsolved goals"); sys.exit(1)
    open("Theory.olean", "w").write("compiled")
    try:
        open({outside!r}, "w").write("escaped")
    except OSError:
        pass
else:
    assert os.environ["LEAN_PATH"].split(os.pathsep)[0] == os.getcwd()
    assert open("Audit.lean").read().startswith("import Theory")
    print({answer!r})
"""


def asked(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, text: str = THEOREM) -> Answer:
    fake = folder / "bin" / "lean"
    fake.parent.mkdir(exist_ok=True)
    outside = str(folder / "escaped")
    fake.write_text(FAKE.format(python=sys.executable, outside=outside, answer=answer))
    fake.chmod(0o755)
    monkeypatch.setattr(lean, "program", lambda name: str(fake) if name == "lean" else None)
    problem = folder / "problem.lean"
    problem.write_text(text, encoding="utf-8")
    found = prove(Asked(problem), seconds=30, keep=folder / "kept")
    assert not Path(outside).exists(), "it wrote outside of its folder"
    return found


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        ("'two' does not depend on any axioms", "proved", "no axioms"),
        ("'two' depends on axioms: [propext,\n Quot.sound]", "proved", "Quot.sound, propext"),
        ("'two' depends on axioms: [sorryAx]", "unknown", "sorryAx"),
        ("'two' depends on axioms: [propext, mine]", "unknown", "mine"),
        ("'two' depends on axioms: [Lean.ofReduceBool]", "unknown", "ofReduceBool"),
        ("'one' does not depend on any axioms", "unknown", "nothing of two"),
        ("", "unknown", "nothing of two"),
    ],
)
def test_what_the_axioms_are_decides(
    answer: str, status: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(tmp_path, monkeypatch, answer)
    assert (found.status, found.language) == (status, "Lean 4")
    assert says in found.says
    assert (tmp_path / "kept" / "Theory.olean").exists() == (status == "proved")
    assert found.checks[0].version == "4.99.0"


@pytest.mark.parametrize(
    "line",
    [
        "theorem three : 1 = 2 := by sorry",
        "axiom mine : False",
        "#eval IO.println \"'two' does not depend on any axioms\"",
        'macro "#print" "axioms" ident : command => `(#check 1)',
        'notation "two" => three',
        "set_option debug.skipKernelTC true",
        "theorem three : 1 = 1 := by native_decide",
        "import Lean",
        'def a := "/-"\n#eval 1\ndef b := "-/"',
    ],
)
def test_words_that_could_change_what_is_said_leave_it_unknown(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(tmp_path, monkeypatch, "'two' does not depend on any axioms", f"{THEOREM}{line}\n")
    assert found.status == "unknown"
    assert found.says.startswith(("Line 2", "Line 3"))


def test_comments_state_no_theorem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"-- theorem one : 1\n/- theorem three\n-/ {THEOREM}"
    assert asked(tmp_path, monkeypatch, "'two' does not depend on any axioms", text).status == "proved"


def test_what_lean_does_not_compile_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asked(tmp_path, monkeypatch, "'two' does not depend on any axioms", "theorem two : wrong := rfl")
    assert found.status == "unknown"
    assert "unsolved goals" in found.says


def test_without_lean_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lean, "program", lambda name: None)
    problem = tmp_path / "problem.lean"
    problem.write_text(THEOREM)
    found = prove(Asked(problem))
    assert (found.status, found.says) == ("unknown", "lean is not installed.")
    problem.write_text("def one := 1\n")
    with pytest.raises(InputError, match="no theorem"):
        prove(Asked(problem))


def test_names_are_those_of_their_namespaces() -> None:
    inner = "section\nlemma b' : x\nend\n@[simp] private theorem M.c (x) : x\n"
    text = f"theorem a : x\nnamespace N\n{inner}end N\ntheorem d: x"
    assert stated(text) == ["a", "N.b'", "N.M.c", "d"]
