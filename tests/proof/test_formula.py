"""What DIMACS files may hold, and what a model is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.proof.formula import Formula, parse_dimacs, parse_model, read_text, write_model

literals = st.integers(1, 9).flatmap(lambda variable: st.sampled_from((variable, -variable)))
formulas = st.builds(Formula, st.just(9), st.lists(st.lists(literals, max_size=5).map(tuple), max_size=12).map(tuple))


@given(formulas)
def test_a_formula_survives_its_file(formula: Formula) -> None:
    assert parse_dimacs(formula.dimacs()) == formula


@given(st.text(alphabet="pcnf 0123-%dx\n\t", max_size=80))
def test_garbage_is_a_formula_or_an_input_error(text: str) -> None:
    try:
        formula = parse_dimacs(text)
    except InputError:
        return
    assert parse_dimacs(formula.dimacs()) == formula


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "without a header"),
        ("1 2 0\n", "Line 1: a clause before the header"),
        ("p cnf 2 1\np cnf 2 1\n1 0\n", "Line 2: a second header"),
        ("p cnf two 1\n", "Line 1: the header can't be read"),
        ("p cnf 9999999999 0\n", "more than the file can use"),
        ("p cnf " + "9" * 5000 + " 0\n", "the header can't be read"),
        ("p cnf 2 1\n1 3 0\n", "Line 2: there is no variable 3"),
        ("p cnf 2 1\n1 1e0 0\n", "'1e0' is no literal"),
        ("p cnf 2 1\n1 " + "9" * 5000 + " 0\n", "is no literal"),
        ("p cnf 2 1\n1 2\n", "does not end"),
        ("p cnf 2 2\n1 2 0\n", "1 clauses, where the header declares 2"),
        ("p cnf 2 1\n1 2 0\n%\n0\n", "'%' is no literal"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_dimacs(text)


def test_files_that_are_no_text_or_too_long_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "problem.cnf"
    file.write_bytes(b"p cnf 1 1\n1 \xff 0\n")
    with pytest.raises(InputError, match="Line 2"):
        read_text(file)
    with pytest.raises(InputError, match="more than 5 bytes"):
        read_text(file, most=5)
    with pytest.raises(InputError, match="can't be read"):
        read_text(tmp_path)


def test_models_are_verified_by_looking_at_each_clause() -> None:
    formula = Formula(3, ((1, 2), (-1, 3)))
    assert formula.falsified([1, 3]) is None
    assert formula.falsified([1, -3]) == (-1, 3)
    assert formula.falsified([3]) == (1, 2)  # what is not in the model is not true
    for no_model in ([1, -1, 3], [1, 3, 4], [0, 1, 3]):
        with pytest.raises(InputError, match="no model"):
            formula.falsified(no_model)


@given(st.sets(st.integers(1, 50)))
def test_a_model_survives_its_file(variables: set[int]) -> None:
    model = [variable if variable % 3 else -variable for variable in variables]
    assert sorted(parse_model(write_model(model))) == sorted(model)
