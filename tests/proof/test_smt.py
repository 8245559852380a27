"""SMT-LIB: what evaluation and proof accept is so, against counting out; what is outside is refused."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysat.solvers import Solver

from superalign.contracts.errors import InputError
from superalign.proof.engine import prove
from superalign.proof.question import Asked
from superalign.proof.smt import assertions
from superalign.proof.smt.linear import Sum, contradict
from superalign.proof.smt.lower import Lowering
from superalign.proof.smt.reader import holds, read_script
from superalign.proof.smt.simplex import Contradiction, Feasible, solve
from superalign.proof.smt.soundness import declared, sweep
from superalign.proof.smt.terms import BINARY, BIT_COMPARISONS, Value, evaluate

EXAMPLES = {
    "QF_BV": (
        "(declare-const x (_ BitVec 8)) (assert (distinct (bvand x (bvneg x)) (bvand x (bvadd (bvnot x) #x01))))",
        "proved",
    ),
    "QF_BV model": (
        "(declare-const x (_ BitVec 16)) (assert (= (bvmul x x) #x0051)) (assert (bvugt x #x0100))",
        "refuted",
    ),
    "QF_LRA": (
        "(declare-const x Real) (declare-const y Real)"
        "(assert (or (< x y) (< (+ x 1) y))) (assert (>= x (* 2 y))) (assert (> y 0.5))",
        "proved",
    ),
    "QF_LIA": (
        "(declare-const x Int) (declare-const y Int) (declare-const z Int)"
        "(assert (and (< 0 (- (* 2 x) (* 3 y)) 2) (< 0 (- (* 2 y) (* 3 z)) 2) (< 0 z 5) (< 0 (- (* 5 z) (* 2 x)) 2)))",
        "proved",
    ),
    "QF_UF model": (
        "(declare-sort U 0) (declare-fun f (U) U) (declare-const a U) (declare-fun p (U Bool) Bool)"
        "(assert (= (f (f a)) a)) (assert (distinct (f a) a)) (assert (xor (p a true) (p (f a) true)))",
        "refuted",
    ),
    "mixed": (
        "(declare-fun f (Int) (_ BitVec 4)) (declare-const x Int) (declare-const y Int)"
        "(assert (and (<= x y) (<= y x) (bvult (f x) (f y))))",
        "proved",
    ),
}  # fmt: skip


def written(folder: Path, text: str, name: str = "problem.smt2") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(("text", "status"), EXAMPLES.values(), ids=EXAMPLES)
def test_answers_are_kept_and_can_be_checked_again(text: str, status: str, tmp_path: Path) -> None:
    problem = written(tmp_path, text)
    answer = prove(Asked(problem, solvers=("cadical195",)), keep=tmp_path / "kept")
    assert (answer.status, answer.language) == (status, "SMT-LIB 2"), answer.says
    assert answer.checks and all(check.accepted for check in answer.checks)
    assert answer.certificate
    again = prove(Asked(problem, proof=tmp_path / "kept" / answer.certificate.file))
    assert again.status == status
    assert again.certificate and again.certificate.sha256 == answer.certificate.sha256


def test_a_certificate_does_not_count_for_another_problem(tmp_path: Path) -> None:
    text, _ = EXAMPLES["QF_LRA"]
    prove(Asked(written(tmp_path, text), solvers=("cadical195",)), keep=tmp_path / "kept")
    other = written(tmp_path, text.replace("(* 2 y)", "y"))
    assert prove(Asked(other, proof=tmp_path / "kept" / "proof.txt")).status == "unknown"
    spoilt = (tmp_path / "kept" / "proof.txt").read_text().replace("l ", "l 1 1 ", 1)
    assert prove(Asked(written(tmp_path, text), proof=written(tmp_path, spoilt, "spoilt"))).status == "unknown"


@pytest.mark.parametrize(
    "found",
    [
        {"model": "(define-fun x () Real 1.0)(define-fun y () Real 2.0)"},
        {"model": "(define-fun x () Real 1.0)"},
        {"model": "(define-fun x () Real y)(define-fun y () Real x)"},
        {"branches": [], "lemmas": []},
        {"branches": [], "lemmas": [[[2, "1"]]]},
        {"branches": [[1, 0]], "lemmas": [[[2, "1"], [3, "-1"]]]},
    ],
)
def test_a_search_that_lies_is_not_believed(
    found: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "(declare-const x Real) (declare-const y Real) (assert (and (< x y) (> x (+ y 1))))"
    monkeypatch.setattr(assertions, "_searched", lambda *_: (found, ""))
    answer = prove(Asked(written(tmp_path, text), solvers=("cadical195",)))
    assert answer.status == "unknown"
    assert answer.says


class TestSoundness:
    def test_no_answer_is_wrong(self) -> None:
        """Longer: scripts/smt_soundness.py."""
        found = sweep(45, seed=0)
        assert (found.wrong, found.unknown) == (0, 0)
        assert min(found.proved, found.refuted) > 10
        assert found.lemmas > 30 and found.branches > 0

    @pytest.mark.parametrize("op", [*BINARY, *BIT_COMPARISONS, "concat", "bvcomp"])
    def test_each_operator_of_bits_has_its_values_as_gates(self, op: str) -> None:
        """For all pairs of 3 bits: the gates leave no value but that of evaluation."""
        text = declared({"x": "(_ BitVec 3)", "y": "(_ BitVec 3)"})
        sort = "Bool" if op in BIT_COMPARISONS else f"(_ BitVec {dict(concat=6, bvcomp=1).get(op, 3)})"
        script = read_script(f"{text}(declare-const r {sort})(assert (= r ({op} x y)))", op)
        lowering = Lowering(script)
        with Solver(name="cadical195", bootstrap_with=[list(each) for each in lowering.circuit.clauses]) as solver:
            symbols = {name: lowering.lowered[id(lowering.applied[name][0])] for name in "xyr"}
            bits = {name: [found] if isinstance(found, int) else list(found) for name, found in symbols.items()}  # type: ignore[arg-type]
            [equality] = script.assertions
            for x, y in product(range(8), repeat=2):
                values = {"x": x, "y": y}
                result = evaluate([equality.args[1]], lambda term, args, v=values: v[term.name])[0]  # type: ignore[misc]
                given = [*_assumed(bits["x"], x), *_assumed(bits["y"], y)]
                assert solver.solve(given + _assumed(bits["r"], int(result))), (op, x, y)
                assert not solver.solve([*given, *_other(solver, given, bits["r"], int(result))]), (op, x, y)


def _assumed(bits: list[int], value: int) -> list[int]:
    return [bit if value >> place & 1 else -bit for place, bit in enumerate(bits)]


def _other(solver, given: list[int], bits: list[int], value: int) -> list[int]:  # type: ignore[no-untyped-def]
    """A bit that could be otherwise, or what can't be."""
    for literal in _assumed(bits, value):
        if solver.solve([*given, -literal]):
            return [-literal]
    return [1, -1]


numbers = st.integers(-4, 4).map(Fraction)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.lists(numbers, min_size=3, max_size=3), numbers, st.booleans()), min_size=1, max_size=7))
def test_simplex_gives_numbers_that_hold_or_multiples_that_contradict(
    rows: list[tuple[list[Fraction], Fraction, bool]],
) -> None:
    said = [(Sum({i + 1: c for i, c in enumerate(row) if c}, k), strict) for row, k, strict in rows]
    match solve(said):
        case Feasible(values):
            values = {i: values.get(i, Fraction(0)) for i in (1, 2, 3)}
            assert all(below.at(values) < 0 or (below.at(values) == 0 and not strict) for below, strict in said)
        case Contradiction(multiples):
            assert contradict([said[i] for i in multiples], multiples.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(assert (", "never closed"),
        ("(assert true))", "not open"),
        ("", "asserts nothing"),
        ("(assert x)", "not declared"),
        ("(assert 1)", "not of sort Bool"),
        ("(declare-const x Int)(assert (= (* x x) 4))", "product of two"),
        ("(declare-const x Int)(assert (= (div x 2) 4))", "not of the fragment"),
        ("(declare-const x Real)(assert (= (/ 1 x) 4))", "division by what"),
        ("(declare-const x Int)(assert (forall ((y Int)) (= x y)))", "no term"),
        ("(declare-fun x () (Array Int Int))(assert true)", "no sort"),
        ("(declare-const x Int)(declare-const x Int)(assert true)", "twice"),
        ("(declare-fun |and| (Bool) Bool)(assert true)", "of the language"),
        ("(push 1)(assert true)", "none of those known"),
        ("(assert true)(check-sat)(assert false)(check-sat)", "after"),
        ("(assert true)(exit)(assert false)", "after"),
        ("(assert (= #b01 #b1))", "not of the fragment"),
        ("(declare-const x (_ BitVec 0))(assert true)", "0 bits"),
        ("(define-fun f ((x Int)) Int (f x))(assert (= (f 1) 1))", "can't be taken"),
        ("(declare-const x Int)(assert (let ((x true)) (! x :named n)))", "bound"),
        ("(" * 1000 + ")" * 1000, "open brackets"),
    ],
)
def test_what_is_outside_of_the_fragment_is_refused(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        prove(Asked(written(tmp_path, text)))


def test_let_binds_at_once_and_definitions_are_carried_out() -> None:
    text = """(declare-const x Int) (define-fun twice ((y Int)) Int (+ y y))
    (assert (let ((x 1) (z x)) (and (= z 5) (= (twice x) 2))))"""
    script = read_script(text, "let")

    def at(value: int) -> list[Value]:
        return evaluate(script.assertions, lambda term, args: value)

    assert at(5) == [True]
    assert at(1) == [False]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("(define-fun x () Int 3) (define-fun f ((a Int)) Int (ite (= a 3) 1 0))", None),
        ("((define-fun x () Int 3) (define-fun f ((a Int)) Int 1))", None),
        ("(define-fun x () Int 3) (define-fun f ((a Int)) Int a)", "is false"),
        ("(define-fun x () Int 3)", "f has no value"),
        ("(define-fun x () Real 3.0)", "declared otherwise"),
        ("(define-fun x () Int 3) (define-fun x () Int 4)", "nothing that the problem declares"),
        ("(define-fun x () Int 3) (define-fun f ((a Int)) Int (f a))", "model"),
        ("(assert true)", "nothing that the problem declares"),
    ],
)
def test_models_of_others_are_evaluated(model: str, why: str | None) -> None:
    script = read_script(
        "(declare-const x Int)(declare-fun f (Int) Int)(assert (= (f x) 1))(assert (= x 3))", "problem"
    )
    try:
        found = holds(script, model, "model")
    except InputError as error:
        found = str(error)
    assert found == why if why is None else found and why in found


def test_time_is_up(tmp_path: Path) -> None:
    names = [f"x{i}" for i in range(8)]
    text = (
        declared(dict.fromkeys(names, "Int"))
        + f"(assert (= (+ {' '.join(f'(* {2 * i + 6} {n})' for i, n in enumerate(names))} ) 999983))"
    )
    text += f"(assert (> (+ {' '.join(names)}) 0))(assert (distinct {' '.join(names)}))"
    answer = prove(Asked(written(tmp_path, text)), seconds=0.3)
    assert answer.status == "unknown" and answer.says
