"""The proof problem: certificates count where they hold, for their own formula, within their length."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superalign.contracts.records import Unscored
from superalign.contracts.research import Arrays, Expression, Sample
from superalign.proof.formula import Formula
from superalign.proof.soundness import satisfiable
from superalign.researcher.problems import proof as problem_file
from superalign.researcher.problems.formulas import FAMILIES
from superalign.researcher.problems.proof import CARD, CDCL, DPLL, ProofProblem
from superalign.researcher.workbench.proof.state import Search, Spent
from tests.researcher.expressions import parts_of, value

PARTS = CARD.language.parts


def answer(expression: Expression, given: Arrays) -> Any:
    return value(parts_of(ProofProblem()), given, expression)


@pytest.fixture(scope="module")
def problem() -> ProofProblem:
    return ProofProblem()


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A few small formulas of each kind."""
    makers = [FAMILIES["development"][name][0] for name in ("random-3-sat", "pigeonhole", "ordering", "parity")]
    draw = np.random.default_rng(0)
    formulas = [problem_file._drawn(make, size, draw) for make, size in zip(makers, (12, 3, 5, 10), strict=True)]
    return problem_file._sample("small", formulas)


def with_part(name: str) -> Expression:
    """CDCL with this part in the place of its kind, and the simplest inputs that fit it."""
    simplest = {"start": "straight", "order": "front_order", "phase": "random_phase"}
    part = CARD.language.part(name)
    parameters = {
        key: domain.options[0] if domain.kind == "one-of" else (round(domain.low) or 1 if domain.whole else domain.low)
        for key, domain in part.parameters.items()
    }
    made = Expression(
        part=name, parameters=parameters, inputs=tuple(Expression(part=simplest[kind]) for kind in part.takes)
    )
    kinds = CARD.language.part("search").takes
    inputs = tuple(made if kind == part.gives else old for kind, old in zip(kinds, CDCL.inputs, strict=True))
    return CDCL.model_copy(update={"inputs": inputs})


def test_parts_share_no_family_and_seeds_give_other_formulas(
    problem: ProofProblem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    families = [set(FAMILIES[part]) for part in ("development", "sealed", "final")]
    assert all(len(part) >= 6 for part in families)
    assert not any(one & other for one, other in pairwise([*families, families[0]]))
    small = {"random-3-sat": (FAMILIES["development"]["random-3-sat"][0], (12,))}
    monkeypatch.setitem(FAMILIES, "development", small)
    one, same, other = (problem.prepare("development", seed, tmp_path)[0] for seed in (0, 0, 1))
    assert np.array_equal(one.given["literals"], same.given["literals"])
    assert not np.array_equal(one.given["literals"], other.given["literals"])


@pytest.mark.parametrize("name", [part.name for part in PARTS if part.gives != "answer"])
def test_every_part_settles_small_formulas_rightly(name: str, problem: ProofProblem, sample: Sample) -> None:
    found = answer(with_part(name), sample.given)
    truth = [
        satisfiable(formula) if formula.variables < 13 else None for formula in problem_file._formulas(sample.truth)
    ]
    for verdict, is_satisfiable in zip(found["verdicts"].tolist(), truth, strict=True):
        assert is_satisfiable is None or verdict == (1 if is_satisfiable else -1)
    assert problem.score(sample, [found]) == pytest.approx(1.0, abs=0.02)


def test_certificates_of_other_formulas_do_not_count(problem: ProofProblem) -> None:
    """Of formulas that are not so small that much else refutes them, too."""
    makers = [FAMILIES["development"][name][0] for name in ("random-3-sat", "planted-3-sat", "pigeonhole", "ordering")]
    draw = np.random.default_rng(1)
    sizes = (50, 40, 5, 7)
    drawn = [problem_file._drawn(make, size, draw) for make, size in zip(makers, sizes, strict=True)]
    sample = problem_file._sample("larger", drawn)
    for expression in (DPLL, CDCL):
        found = answer(expression, sample.given)
        right = problem.score(sample, [found])
        assert isinstance(right, float) and right > 0.7
        assert [problem.score(problem.permuted(sample, seed), [found]) for seed in range(4)] == [0.0] * 4


def test_false_models_false_proofs_and_long_ones_settle_nothing(
    problem: ProofProblem, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = answer(CDCL, sample.given)
    right = problem.score(sample, [found])
    assert isinstance(right, float)
    turned = {**found, "row_literals": -found["row_literals"]}
    turned_score = problem.score(sample, [turned])
    assert isinstance(turned_score, float) and turned_score < 0.5
    assert problem.score(sample, [{**found, "verdicts": -found["verdicts"]}]) == 0.0
    assert problem.score(sample, [{**found, "verdicts": 0 * found["verdicts"]}]) == 0.0
    monkeypatch.setattr(problem_file, "LONGEST", 5)
    short = problem.score(sample, [found])
    assert isinstance(short, float) and short < right


def test_the_budget_is_honoured(problem: ProofProblem, sample: Sample) -> None:
    starved = {**sample.given, "budget": np.array(10)}
    assert problem.score(sample, [answer(CDCL, starved)]) == 0.0
    search = Search(3, [[1, 2, 3]], 5, None)
    with pytest.raises(Spent):
        search.spend(6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdicts": np.zeros(3, dtype=np.int64)},
        {"row_counts": np.array([2**62] * 4)},
        {"row_counts": np.array([-1, 1, 0, 0])},
        {"row_lengths": np.array([2**63 - 1] * 2)},
        {"row_literals": np.zeros((2, 2), dtype=np.int64)},
        {"row_literals": np.array([0.5])},
    ],
)
def test_arrays_that_do_not_fit_are_unscored(
    wrong: dict[str, np.ndarray], problem: ProofProblem, sample: Sample
) -> None:
    assert isinstance(problem.score(sample, [{**answer(DPLL, sample.given), **wrong}]), Unscored)
    assert isinstance(problem.score(sample, [{}]), Unscored)
    assert isinstance(problem.score(sample, []), Unscored)


@pytest.mark.parametrize("family", [(part, name) for part in FAMILIES for name in FAMILIES[part]], ids="-".join)
def test_every_family_makes_formulas(family: tuple[str, str]) -> None:
    make, sizes = FAMILIES[family[0]][family[1]]
    formula = problem_file._drawn(make, sizes[0], np.random.default_rng(0))
    assert isinstance(formula, Formula) and all(formula.clauses)
    assert {abs(literal) for clause in formula.clauses for literal in clause} == set(range(1, formula.variables + 1))
