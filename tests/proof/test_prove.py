"""`superalign prove`: only what a kernel accepted is an answer, whoever proposed it and however it ended."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from tests.commands import superalign

from superalign.contracts.errors import InputError
from superalign.proof import clauses, rocq
from superalign.proof.engine import prove
from superalign.proof.processes import Limits, run
from superalign.proof.question import Asked
from superalign.proof.records import Answer
from superalign.proof.solvers import SOLVERS, Solver
from superalign.provenance.digest import file_digest

CONTRADICTORY = "p cnf 2 4\n1 2 0\n-1 2 0\n1 -2 0\n-1 -2 0\n"
SATISFIED = "p cnf 2 2\n-2 0\n-1 2 0\n"


def written(folder: Path, text: str, name: str = "problem.cnf") -> Path:
    (folder / name).write_text(text)
    return folder / name


def saying(text: str, code: int, proof: str = "") -> Solver:
    """A solver that says this, whatever it is asked."""
    program = "import sys; open(sys.argv[1], 'w').write(sys.argv[2]); print(sys.argv[3]); sys.exit(int(sys.argv[4]))"
    return Solver(
        "liar", lambda: True, lambda formula, to: [sys.executable, "-c", program, str(to), proof, text, str(code)]
    )


def test_a_proof_is_kept_with_its_digest_and_can_be_checked_again(tmp_path: Path) -> None:
    problem, keep = written(tmp_path, CONTRADICTORY), tmp_path / "kept"
    answer = prove(Asked(problem, solvers=("glucose4",)), keep=keep)
    assert answer.status == "proved" and answer.certificate
    assert [check.accepted for check in answer.checks] == [True, True]
    proof = keep / answer.certificate.file
    assert file_digest(proof) == answer.certificate.sha256 and answer.sha256 == file_digest(problem)
    assert Answer.model_validate_json((keep / "record.json").read_bytes()) == answer
    assert prove(Asked(problem, proof=proof)).status == "proved"
    assert prove(Asked(written(tmp_path, SATISFIED), proof=proof)).status == "unknown"


def test_a_model_is_kept_and_evaluated(tmp_path: Path) -> None:
    problem, keep = written(tmp_path, SATISFIED), tmp_path / "kept"
    assert prove(Asked(problem, solvers=("cadical195",)), keep=keep).status == "refuted"
    assert prove(Asked(problem, proof=keep / "model.txt")).status == "refuted"
    assert prove(Asked(problem, proof=written(tmp_path, "v 2 0\n", "model.txt"))).status == "unknown"


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (saying("s SATISFIABLE\nv 1 2 0", 10), "is false"),
        (saying("v one 0", 10), "not of a model"),
        (saying("s UNSATISFIABLE", 20, "0\n"), "neither RUP nor RAT"),
        (saying("s UNSATISFIABLE", 20, "d -1 2 0\n1 0\n0\n"), "superalign did not accept it"),
        (saying("s UNSATISFIABLE", 20, "\x01\x02"), "no step"),
        (saying("s UNSATISFIABLE", 20, ""), "without the empty clause"),
        (saying("out of luck", 1), "out of luck"),
    ],
)
def test_a_solver_that_lies_is_not_believed(
    solver: Solver, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOLVERS, "liar", solver)
    keep = tmp_path / "kept"
    answer = prove(Asked(written(tmp_path, SATISFIED), solvers=("liar",)), keep=keep)
    assert answer.status == "unknown" and why in answer.says
    assert not keep.exists()


def test_an_honest_solver_is_believed_after_a_liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOLVERS, "liar", saying("s UNSATISFIABLE", 20, "0\n"))
    monkeypatch.setattr(clauses.os, "cpu_count", lambda: 1)
    answer = prove(Asked(written(tmp_path, SATISFIED), solvers=("liar", "cadical195")))
    assert answer.status == "refuted"
    assert [attempt.claims for attempt in answer.attempts] == ["unsatisfiable", "satisfiable"]


def test_what_hangs_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = (
        "import subprocess as s, sys; p = s.Popen(['sleep', '600']); open(sys.argv[1], 'w').write(str(p.pid)); p.wait()"
    )
    note = tmp_path / "pid"
    hanging = Solver("liar", lambda: True, lambda formula, to: [sys.executable, "-c", child, str(note)])
    monkeypatch.setitem(SOLVERS, "liar", hanging)
    answer = prove(Asked(written(tmp_path, SATISFIED), solvers=("liar",)), seconds=3)
    assert answer.status == "unknown" and "time was up" in answer.says
    status = Path(f"/proc/{note.read_text()}/status")
    for _ in range(100):
        if not status.exists() or "State:\tZ" in status.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def test_what_takes_more_memory_than_it_may_is_ended() -> None:
    greedy = [sys.executable, "-c", "x = bytearray(2**30)"]
    assert run(greedy, Limits(time.monotonic() + 30, 2**28)).code != 0
    assert run(greedy, Limits(time.monotonic() + 30, 2**32)).code == 0


def test_bad_input_gets_a_sentence(tmp_path: Path) -> None:
    problem = written(tmp_path, SATISFIED)
    for asked, says in (
        (Asked(tmp_path / "none.cnf"), "can't be read"),
        (Asked(written(tmp_path, "", "problem.txt")), "has to end in one of"),
        (Asked(problem, solvers=("cadicul195",)), "cadical195"),
        (Asked(problem, proof=written(tmp_path, "garbage", "proof.drat")), "Line 1 is no step"),
        (Asked(written(tmp_path, 'Redirect "x" Print nat.\n', "a.v")), "Line 1 has the word Redirect"),
    ):
        with pytest.raises(InputError, match=says):
            prove(asked)
    with pytest.raises(InputError, match="can't be kept"):
        prove(Asked(problem), keep=problem)


@pytest.mark.parametrize(("text", "code"), [(CONTRADICTORY, 0), (SATISFIED, 0), ("p cnf\n", 2)])
def test_exit_codes(text: str, code: int, tmp_path: Path) -> None:
    problem = written(tmp_path, text)
    done = superalign("prove", str(problem), "--json")
    assert done.returncode == code and "Traceback" not in done.stderr
    assert (json.loads(done.stdout)["status"] in ("proved", "refuted")) if code == 0 else "Line 1" in done.stderr
    assert (tmp_path / "problem.cnf.certificate" / "record.json").exists() == (code == 0)
    empty = written(tmp_path, "", "empty.drat")
    if code == 0:
        assert superalign("prove", str(problem), "--proof", str(empty)).returncode == 3


SUMMARY = "* Axioms: {}\n  \n* Constants/Inductives relying on type-in-type: <none>\n  \n* Constants/Inductives \
relying on unsafe (co)fixpoints: <none>\n  \n* Inductives whose positivity is assumed: <none>\n"


@pytest.mark.parametrize(
    ("summary", "status", "says"),
    [
        (SUMMARY.format("<none>"), "proved", "nothing assumed: told"),
        (SUMMARY.format("\n    theory.bad"), "unknown", "rests on Axioms: theory.bad"),
        (SUMMARY.format("<none>")[:60], "unknown", "summary can't be read"),
        ("", "unknown", "summary can't be read"),
    ],
)
def test_a_theorem_counts_only_where_coqchk_says_that_nothing_is_assumed(
    summary: str, status: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = "#!/bin/sh\ntouch theory.vo; echo 'prf 8:8 <> told' > theory.glob\n"
    for name, script in (("coqc", compiler), ("coqchk", f"#!/bin/sh\ncat <<'END'\n{summary}\nEND\n")):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    answer = prove(Asked(written(tmp_path, "Theorem told : True. Proof. exact I. Qed.\n", "theory.v")))
    assert answer.status == status and says in answer.says


@pytest.mark.skipif(rocq.program("coqchk") is None, reason="coqc and coqchk are not installed")
def test_rocq_itself(tmp_path: Path) -> None:
    proof = "Theorem right : forall n : nat, n + 0 = n.\nProof. induction n; simpl; auto. Qed.\n"
    assert prove(Asked(written(tmp_path, proof, "right.v"))).status == "proved"
    for wrong in ("Theorem wrong : 0 = 1.\nProof. auto. Qed.\n", "Theorem wrong : 0 = 1.\nAdmitted.\n"):
        assert prove(Asked(written(tmp_path, wrong, "wrong.v"))).status == "unknown"
