"""Kernels: they agree with a slow checker on spoilt proofs, and one that is wrong alone is not believed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.proof.drat import Refused, Step, check, parse_drat, write_drat
from superalign.proof.formula import Formula
from superalign.proof.packaged import solve
from superalign.proof.soundness import accepted_by, random_formula, satisfiable, spoilt, sweep

CONTRADICTORY = Formula(2, ((1, 2), (-1, 2), (1, -2), (-1, -2)))
steps = st.builds(Step, st.lists(st.integers(-9, 9).filter(bool), max_size=4).map(tuple), st.booleans())


def pigeonhole(holes: int) -> Formula:
    at = [[pigeon * holes + hole + 1 for hole in range(holes)] for pigeon in range(holes + 1)]
    apart = [(-a[h], -b[h]) for h in range(holes) for i, a in enumerate(at) for b in at[:i]]
    return Formula(holes * (holes + 1), (*map(tuple, at), *apart))


def slowly_holds(formula: Formula, proof: Sequence[Step]) -> bool:
    """RUP alone, by going through all clauses again and again; without deletions."""
    clauses = [set(clause) for clause in formula.clauses]
    for step in proof:
        if step.deletes:
            continue
        false, before = {*step.literals}, -1
        refuted = any(-literal in false for literal in false)
        while not refuted and len(false) != before:
            before = len(false)
            for clause in clauses:
                left = clause - false
                refuted = refuted or not left
                if len(left) == 1:
                    false.add(-next(iter(left)))
        refuted = refuted or any(-literal in false for literal in false)
        if not refuted:
            return False
        if not step.literals:
            return True
        clauses.append(set(step.literals))
    return False


@given(st.lists(steps))
def test_a_proof_survives_its_file(proof: list[Step]) -> None:
    assert parse_drat(write_drat(proof)) == proof


@pytest.mark.parametrize("text", ["1 2\n", "1 0 2 0\n", "d\n", "x 0\n", "1 d 2 0\n", "99999999999 0\n", "a\x0b\x04"])
def test_what_is_no_proof_is_told_with_its_line(text: str) -> None:
    with pytest.raises(InputError, match="Line 2 is no step"):
        parse_drat("1 0\n" + text)


def test_proofs_hold_and_what_is_none_does_not() -> None:
    check(CONTRADICTORY, [Step((2,)), Step(())])
    for proof in ([], [Step(())], [Step((2,))], [Step((2,)), Step((5,), deletes=True)]):
        with pytest.raises(Refused):
            check(CONTRADICTORY, proof)


def test_a_clause_that_only_rat_allows_is_accepted_and_its_pivot_matters() -> None:
    definition = [Step((3, -1)), Step((-3, 1))]  # 3 is new, and stands for 1
    check(CONTRADICTORY, [*definition, Step((2,)), Step(())])
    with pytest.raises(Refused, match="step 1"):
        check(Formula(2, ((1, 2), (-1, 2))), [Step((-2, 1)), Step(())])


def test_a_step_that_names_a_variable_beyond_all_sense_is_refused_without_room_for_it() -> None:
    with pytest.raises(Refused, match="more than formula and proof have"):
        check(CONTRADICTORY, [Step((10**9,)), Step(())])


def test_deleting_what_found_a_literal_does_not_let_a_false_proof_through() -> None:
    satisfied = Formula(2, ((-2,), (-1, 2)))
    proof = [Step((-1, 2), deletes=True), Step((1,)), Step(())]
    assert satisfiable(satisfied)
    assert "superalign" not in accepted_by(satisfied, proof)


@pytest.mark.parametrize("seed", range(4))
def test_spoilt_proofs_are_accepted_only_where_they_still_hold(seed: int) -> None:
    draw = random.Random(seed)
    formulas = [pigeonhole(4), *(random_formula(draw) for _ in range(25))]
    for formula in formulas:
        model, text = solve("glucose4", formula)
        if model is not None:
            continue
        proof = [step for step in parse_drat(text) if not step.deletes]
        assert slowly_holds(formula, proof)
        check(formula, proof)
        for offered in spoilt(proof, formula, draw):
            plain = [step for step in offered if not step.deletes]
            try:
                check(formula, plain)
            except Refused:
                assert not slowly_holds(formula, plain)


def test_every_lemma_that_is_needed_is_missed() -> None:
    formula = pigeonhole(3)
    proof = [step for step in parse_drat(solve("cadical195", formula)[1]) if not step.deletes]
    for at in reversed(range(len(proof))):  # drop what is not needed
        if slowly_holds(formula, proof[:at] + proof[at + 1 :]):
            del proof[at]
    assert len(proof) > 2
    for at in range(len(proof)):
        assert accepted_by(formula, proof[:at] + proof[at + 1 :]) == []


def test_the_proof_of_another_formula_is_none() -> None:
    proof = parse_drat(solve("cadical195", pigeonhole(4))[1])
    larger = pigeonhole(5)
    assert len(accepted_by(pigeonhole(4), proof)) == 2
    assert accepted_by(larger, proof) == []


def test_the_engine_is_never_wrong_on_formulas_that_are_counted_out() -> None:
    found = sweep(300, seed=1)
    assert found.proved > 50 and found.refuted > 50 and found.spoilt > 500
    assert (found.unknown, found.wrong, found.disagreements, found.spoilt_accepted) == (0, 0, 0, 0)
