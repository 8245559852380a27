"""SMT-LIB: what evaluation and proof accept is so, against counting out; what is outside is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysat.solvers import Solver

from superalign.contracts.errors import InputError
from superalign.proof.drat import parse_drat
from superalign.proof.engine import prove
from superalign.proof.packaged import solve as solve_clauses
from superalign.proof.question import Asked
from superalign.proof.smt import assertions
from superalign.proof.smt.linear import Sum, contradict
from superalign.proof.smt.lower import Lowering
from superalign.proof.smt.reader import Script, holds, read_script
from superalign.proof.smt.search import search
from superalign.proof.smt.simplex import Contradiction, Feasible, solve
from superalign.proof.smt.terms import BINARY, BIT_COMPARISONS, Value, evaluate
from superalign.proof.soundness import accepted_by

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
    """Random assertions over few values, counted out."""

    @pytest.mark.parametrize("seed", range(40))
    def test_bits(self, seed: int) -> None:
        draw = random.Random(seed)
        wide = draw.choice((1, 2, 3))
        names = {name: f"(_ BitVec {wide})" for name in "xyz"} | {"p": "Bool"}
        text = _declared(names) + "".join(f"(assert {_of_bits(draw, 3, wide, 'Bool')})" for _ in range(2))
        domain = {name: range(1 << wide) if sort != "Bool" else (False, True) for name, sort in names.items()}
        _agrees(text, lambda script: _counted_out(script, domain))

    @pytest.mark.parametrize("seed", range(40))
    def test_integers(self, seed: int) -> None:
        """All variables are kept between -2 and 2 by what is asserted."""
        draw = random.Random(seed)
        names = dict.fromkeys("xyz", "Int")
        kept = "".join(f"(assert (<= (- 2) {name} 2))" for name in names)
        text = _declared(names) + kept + "".join(f"(assert {_of_integers(draw, 2)})" for _ in range(3))
        _agrees(text, lambda script: _counted_out(script, {name: range(-2, 3) for name in names}))

    @pytest.mark.parametrize("seed", range(25))
    def test_functions(self, seed: int) -> None:
        """Of a sort of which nothing is known."""
        draw = random.Random(seed)

        def term(depth: int) -> str:
            return draw.choice("ab") if depth == 0 else f"(f {term(depth - 1)})"

        def atom() -> str:
            text = f"(= {term(draw.randint(0, 2))} {term(draw.randint(0, 1))})"
            return f"(not {text})" if draw.random() < 0.5 else text

        head = "(declare-sort U 0)(declare-fun f (U) U)(declare-const a U)(declare-const b U)"
        text = head + "".join(f"(assert (or {atom()} {atom()}))" for _ in range(draw.randint(3, 6)))

        def truth(script: Script) -> bool:
            """Counted out by which of a, b, f a, f b, f f a and f f b are the same: no term goes further."""
            for a, b, fa, fb, ffa, ffb in product(range(6), repeat=6):
                table: dict[int, int] = {}
                steps = ((a, fa), (b, fb), (fa, ffa), (fb, ffb))
                if any(table.setdefault(of, to) != to for of, to in steps):
                    continue
                values = {"a": a, "b": b}
                if all(
                    evaluate(script.assertions, lambda t, args, f=table, v=values: f[args[0]] if args else v[t.name])
                ):
                    return True
            return False

        _agrees(text, truth)

    @pytest.mark.parametrize("op", [*BINARY, *BIT_COMPARISONS, "concat", "bvcomp"])
    def test_each_operator_of_bits_has_its_values_as_gates(self, op: str) -> None:
        """For all pairs of 3 bits: the gates leave no value but that of evaluation."""
        text = _declared({"x": "(_ BitVec 3)", "y": "(_ BitVec 3)"})
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


def _declared(names: dict[str, str]) -> str:
    return "".join(f"(declare-const {name} {sort})" for name, sort in names.items())


def _counted_out(script: Script, domain: dict[str, range | tuple[bool, ...]]) -> bool:
    for values in product(*domain.values()):
        named = dict(zip(domain, values, strict=True))
        if all(evaluate(script.assertions, lambda term, args, v=named: v[term.name])):  # type: ignore[misc]
            return True
    return False


def _agrees(text: str, truth: Callable[[Script], bool]) -> None:
    """The engine's parts, in this process: the model is one, or lemmas and proof are accepted; and it is so."""
    script = read_script(text, "random")
    lowering = Lowering(script)
    found = search(lowering) if lowering.atoms else {"lemmas": []}
    if "model" in found:
        assert holds(script, str(found["model"]), "model") is None, text
        assert truth(script), text
        return
    again = Lowering(script)
    lemmas = assertions._read_lemmas("".join(assertions._lines({"branches": [], **found})), "search")
    assert assertions._added_up(again, lemmas).accepted, text
    formula = again.formula(lemmas.lemmas)
    model, proof = solve_clauses("cadical195", formula)
    if model is not None:
        assert not lowering.atoms
        assert holds(script, again.model(set(model), {}), "model") is None, text
        assert truth(script), text
        return
    assert accepted_by(formula, parse_drat(proof)) == ["superalign", "dratify"], text
    assert not truth(script), text


def _of_bits(draw: random.Random, depth: int, wide: int, sort: str) -> str:
    def inner(of: str = "bits") -> str:
        return _of_bits(draw, depth - 1, wide, of)

    if sort == "Bool":
        if depth == 0:
            return "p"
        match draw.randrange(5):
            case 0:
                return f"({draw.choice(('and', 'or', 'xor', '=>'))} {inner('Bool')} {inner('Bool')})"
            case 1:
                return f"(not {inner('Bool')})"
            case 2:
                return f"({draw.choice(('=', 'distinct'))} {inner()} {inner()})"
        return f"({draw.choice(BIT_COMPARISONS)} {inner()} {inner()})"
    if depth == 0:
        return draw.choice(("x", "y", "z", f"(_ bv{draw.randrange(1 << wide)} {wide})"))
    match draw.randrange(6):
        case 0:
            return f"(ite {inner('Bool')} {inner()} {inner()})"
        case 1:
            return f"({draw.choice(('bvnot', 'bvneg', '(_ rotate_left 2)', '(_ rotate_right 1)'))} {inner()})"
        case 2:
            longer = draw.choice(("(_ sign_extend 2)", "(_ zero_extend 1)", "(_ repeat 2)"))
            return f"((_ extract {wide - 1} 0) ({longer} {inner()}))"
        case 3:
            return f"((_ extract {wide} 1) (concat {inner()} {inner()}))"
    return f"({draw.choice(sorted(BINARY))} {inner()} {inner()})"


def _of_integers(draw: random.Random, depth: int) -> str:
    if depth == 0:
        factors = [draw.randint(-3, 3) for _ in "xyz"]
        terms = " ".join(f"(* {k if k >= 0 else f'(- {-k})'} {name})" for k, name in zip(factors, "xyz", strict=True))
        return f"({draw.choice(('<', '<=', '=', '>', '>=', 'distinct'))} (+ {terms}) {draw.randint(0, 4)})"
    first, second = _of_integers(draw, depth - 1), _of_integers(draw, depth - 1)
    if draw.random() < 0.2:
        return f"(= (ite {first} x (+ y 1)) (ite {second} z (- x)))"
    return draw.choice(
        (f"(or {first} {second})", f"(and {first} {second})", f"(not {first})", f"(xor {first} {second})")
    )


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
        _declared(dict.fromkeys(names, "Int"))
        + f"(assert (= (+ {' '.join(f'(* {2 * i + 6} {n})' for i, n in enumerate(names))} ) 999983))"
    )
    text += f"(assert (> (+ {' '.join(names)}) 0))(assert (distinct {' '.join(names)}))"
    answer = prove(Asked(written(tmp_path, text)), seconds=0.3)
    assert answer.status == "unknown" and answer.says
