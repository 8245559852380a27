"""The proof problem: which heuristics settle most formulas, within a number of steps and with short proofs?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.registry import problems
from superalign.contracts.research import (
    Arrays,
    Expression,
    Language,
    LanguagePart,
    OneOf,
    ProblemCard,
    Sample,
    Within,
)
from superalign.proof.drat import Kernel, Refused, Step, check
from superalign.proof.formula import Formula
from superalign.researcher.problems.formulas import FAMILIES, Clauses, disguised

WORKBENCH = Path(__file__).parents[1] / "workbench" / "proof"
BUDGET = 40_000  # steps for each formula: looks at a clause
DRAWS = 3  # of each size
LONGEST = 50_000  # literals of a refutation that is read
LENGTH_COUNTS = 0.1  # of a settled formula's worth, lost by a refutation of LONGEST literals

SHARE = Within(low=0.01, high=0.5)
PARTS = (
    LanguagePart(
        name="search",
        says="Settle each formula: begin as told, then decide, propagate and learn until the budget is spent.",
        gives="answer",
        takes=("start", "order", "phase", "restarts", "learning"),
        parameters={"most_kept": Within(low=20, high=5000, log=True, whole=True)},
    ),
    LanguagePart(name="straight", says="Begin with nothing.", gives="start"),
    LanguagePart(
        name="probe",
        says="Assume each literal, and learn the contrary where that fails.",
        gives="start",
        parameters={"share": SHARE},
    ),
    LanguagePart(
        name="walk",
        says="Local search for a model (WalkSAT), for a share of the budget.",
        gives="start",
        parameters={"share": SHARE, "noise": Within(low=0.0, high=0.9)},
    ),
    LanguagePart(name="both", says="One beginning, then another.", gives="start", takes=("start", "start")),
    LanguagePart(
        name="weight_order",
        says="Decide variables of many short clauses first; a larger base makes short ones count more.",
        gives="order",
        parameters={"base": Within(low=1.0, high=8.0)},
    ),
    LanguagePart(
        name="activity_order",
        says="Decide variables of recent conflicts first (VSIDS).",
        gives="order",
        parameters={"decay": Within(low=0.5, high=0.999)},
    ),
    LanguagePart(name="front_order", says="Decide variables of the last conflict first (VMTF).", gives="order"),
    LanguagePart(name="random_order", says="Decide any variable.", gives="order"),
    LanguagePart(
        name="look_ahead",
        says="Of the first candidates by another order, decide the one whose values make most others known.",
        gives="order",
        takes=("order",),
        parameters={"candidates": Within(low=2, high=30, log=True, whole=True)},
    ),
    LanguagePart(
        name="mixed_order",
        says="Mostly the first order; for a share of the decisions, by chance, the second.",
        gives="order",
        takes=("order", "order"),
        parameters={"share": SHARE},
    ),
    LanguagePart(
        name="fixed_phase",
        says="Decide for true, or for false.",
        gives="phase",
        parameters={"positive": OneOf(options=(True, False))},
    ),
    LanguagePart(name="random_phase", says="Decide for true or false by chance.", gives="phase"),
    LanguagePart(
        name="weight_phase",
        says="Decide for the literal of many short clauses (Jeroslow and Wang).",
        gives="phase",
        parameters={"base": Within(low=1.0, high=8.0)},
    ),
    LanguagePart(
        name="saved_phase",
        says="Decide for the value that the variable had last; the first time, for another phase.",
        gives="phase",
        takes=("phase",),
    ),
    LanguagePart(name="no_restarts", says="Never start again.", gives="restarts"),
    LanguagePart(
        name="luby_restarts",
        says="Start again after Luby's series of conflicts.",
        gives="restarts",
        parameters={"unit": Within(low=4, high=256, log=True, whole=True)},
    ),
    LanguagePart(
        name="geometric_restarts",
        says="Start again after ever more conflicts.",
        gives="restarts",
        parameters={
            "first": Within(low=4, high=256, log=True, whole=True),
            "factor": Within(low=1.01, high=2.0),
        },
    ),
    LanguagePart(
        name="lbd_restarts",
        says="Start again when the clauses learnt lately join more levels than usual (Glucose).",
        gives="restarts",
        parameters={"window": Within(low=4, high=100, log=True, whole=True), "margin": Within(low=0.5, high=1.0)},
    ),
    LanguagePart(name="no_learning", says="Turn the last decision round (DPLL).", gives="learning"),
    LanguagePart(name="decision_learning", says="Learn which decisions made the conflict.", gives="learning"),
    LanguagePart(
        name="uip_learning",
        says="Learn the clause of the first unique implication point, without literals that others imply.",
        gives="learning",
        parameters={"minimize": OneOf(options=("none", "local", "recursive"))},
    ),
)

WEIGHTS = Expression(part="weight_phase", parameters={"base": 2.0})
DPLL = Expression(
    part="search",
    parameters={"most_kept": 1000},
    inputs=(
        Expression(part="straight"),
        Expression(part="weight_order", parameters={"base": 2.0}),
        WEIGHTS,
        Expression(part="no_restarts"),
        Expression(part="no_learning"),
    ),
)
CDCL = Expression(
    part="search",
    parameters={"most_kept": 1000},
    inputs=(
        Expression(part="straight"),
        Expression(part="activity_order", parameters={"decay": 0.95}),
        Expression(part="saved_phase", inputs=(Expression(part="fixed_phase", parameters={"positive": False}),)),
        Expression(part="luby_restarts", parameters={"unit": 100}),
        Expression(part="uip_learning", parameters={"minimize": "recursive"}),
    ),
)
CARD = ProblemCard(
    name="proof",
    title="Settle formulas within a number of steps",
    statement=(
        "Oversight of proofs needs no trust in who found them. Find heuristics of a SAT solver that settle more "
        "formulas, by models or by short refutations, within a budget of steps. A step is one look at a clause, so "
        "that no machine is faster than another. Samples are families of formulas; the sealed families are others "
        "than those of development. Only a model that makes every clause true, or a refutation that a kernel accepts, "
        "counts."
    ),
    metric=(
        "Share of the formulas settled, where a refutation loses up to a tenth of its worth by its length: "
        f"all of that tenth at {LONGEST:,} literals, and everything beyond"
    ),
    lowest=0.0,
    highest=1.0,
    given={
        "literals": "[literals] of all clauses in turn: a variable's number from 1, negative where negated",
        "clause_lengths": "[clauses] literals of each clause",
        "clause_counts": "[formulas] clauses of each formula",
        "variables": "[formulas] variables of each formula",
        "budget": "[] steps that may be spent on each formula",
        "stage": "[] 0",
    },
    answer={
        "verdicts": "[formulas] 1 for a model, -1 for a refutation, 0 for neither",
        "row_counts": "[formulas] rows of each answer: one for a model, the clauses of a refutation, none for neither",
        "row_lengths": "[rows] literals of each row; a refutation ends with a row of 0",
        "row_literals": "[literals] of all rows in turn: of a model, the true ones",
    },
    language=Language(root="answer", parts=PARTS, depth=4),
    baseline=DPLL,
    reference=CDCL,
    # Over 5 seeds, CDCL's gain over DPLL on development samples had a mean of 0.068, a standard deviation of 0.021.
    smallest_gain=0.06,
    seconds=120,
)


@problems.register("proof")
class ProofProblem:
    """Which heuristics of a SAT solver settle most formulas, by models or by proofs that a kernel accepts?"""

    card = CARD
    workbench = WORKBENCH

    def prepare(self, part: Literal["development", "sealed", "final"], seed: int, folder: Path) -> list[Sample]:
        """A sample for each family of the part. Nothing is computed beforehand, so `folder` stays empty."""
        number = list(FAMILIES).index(part)
        return [
            _sample(name, [_drawn(make, size, draw) for size in [*sizes] * DRAWS])
            for name, (make, sizes) in FAMILIES[part].items()
            for draw in [np.random.default_rng([seed, number, *name.encode()])]
        ]

    def ask(self, sample: Sample, answers: Sequence[Arrays]) -> Arrays:
        if answers:
            _rows(sample, answers[0])
        return sample.given

    def score(self, sample: Sample, answers: Sequence[Arrays]) -> float | Unscored:
        """Unscored for an answer whose arrays do not fit together; a wrong certificate settles nothing."""
        if not answers:
            return Unscored(reason="there is no answer")
        try:
            rows = _rows(sample, answers[0])
        except InputError as error:
            return Unscored(reason=str(error))
        verdicts = answers[0]["verdicts"].tolist()
        worth = map(_worth, _formulas(sample.truth), verdicts, rows)
        return float(np.mean(list(worth)))

    def permuted(self, sample: Sample, seed: int) -> Sample:
        """Each answer is held against another formula than it was given for."""
        formulas = list(_formulas(sample.truth))
        by = int(np.random.default_rng(seed).integers(1, len(formulas)))
        shifted = formulas[by:] + formulas[:by]
        return Sample(sample.name, sample.given, _arrays(shifted))


def _sample(name: str, formulas: Sequence[Formula]) -> Sample:
    truth = _arrays(formulas)
    return Sample(name, {**truth, "budget": np.array(BUDGET)}, truth)


def _drawn(make: Callable[[int, np.random.Generator], Clauses], size: int, draw: np.random.Generator) -> Formula:
    """A formula of the family that unit propagation alone does not refute: anybody's proof would fit it."""
    while True:
        variables, clauses = disguised(make(size, draw), draw)
        formula = Formula(variables, tuple(map(tuple, clauses)))
        if not Kernel(formula, 0).follows(()):
            return formula


def _arrays(formulas: Sequence[Formula]) -> Arrays:
    clauses = [clause for formula in formulas for clause in formula.clauses]
    return {
        "literals": np.array(list(chain.from_iterable(clauses)), dtype=np.int64),
        "clause_lengths": np.array([len(clause) for clause in clauses], dtype=np.int64),
        "clause_counts": np.array([len(formula.clauses) for formula in formulas], dtype=np.int64),
        "variables": np.array([formula.variables for formula in formulas], dtype=np.int64),
    }


def _formulas(arrays: Arrays) -> Iterable[Formula]:
    clauses = _cut(arrays["literals"], arrays["clause_lengths"])
    first = 0
    for variables, count in zip(arrays["variables"].tolist(), arrays["clause_counts"].tolist(), strict=True):
        yield Formula(variables, tuple(clauses[first : first + count]))
        first += count


def _cut(literals: np.ndarray, lengths: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(part.tolist()) for part in np.split(literals, np.cumsum(lengths)[:-1])] if len(lengths) else []


def _rows(sample: Sample, answer: Arrays) -> list[list[tuple[int, ...]]]:
    """The rows of each formula's answer. InputError where the arrays do not fit together."""

    def wrong(what: str) -> InputError:
        return InputError(f"The answer can't be used: {what}.", fix="See `answer` on the problem's card.")

    names = ("verdicts", "row_counts", "row_lengths", "row_literals")
    for name in names:
        if name not in answer:
            raise wrong(f"it has no {name}")
        if answer[name].ndim != 1 or answer[name].dtype.kind != "i":
            raise wrong(f"{name} is no vector of whole numbers")
    verdicts, counts, lengths, literals = (answer[name] for name in names)
    formulas = len(sample.given["variables"])
    if len(verdicts) != formulas or len(counts) != formulas:
        raise wrong(f"verdicts and row_counts need one number for each of the {formulas} formulas")
    sizes = ((counts, len(lengths), "row_counts"), (lengths, len(literals), "row_lengths"))
    for sums, whole, name in sizes:  # beyond its limit, a number could make a sum overflow
        if any(number < 0 or number > whole for number in sums.tolist()) or sum(sums.tolist()) != whole:
            raise wrong(f"{name} do not add up to {whole}")
    rows = _cut(literals, lengths)
    ends = np.cumsum(counts).tolist()
    return [rows[end - count : end] for end, count in zip(ends, counts.tolist(), strict=True)]


def _worth(formula: Formula, verdict: int, rows: list[tuple[int, ...]]) -> float:
    """What the answer to one formula is worth: nothing unless its certificate holds."""
    size = sum(len(row) + 1 for row in rows)  # the end of a row counts, or empty rows would be free
    if size > LONGEST or verdict not in (1, -1):
        return 0.0
    if verdict == 1:
        return float(len(rows) == 1 and _is_model(formula, rows[0]))
    try:
        check(formula, [Step(row) for row in rows])
    except Refused:
        return 0.0
    return 1.0 - LENGTH_COUNTS * size / LONGEST


def _is_model(formula: Formula, literals: tuple[int, ...]) -> bool:
    try:
        return formula.falsified(literals) is None
    except InputError:
        return False
