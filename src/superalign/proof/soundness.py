"""Is the engine ever wrong? Small random formulas, whose truth is counted out, and proofs that somebody spoilt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

from pydantic import Field

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record
from superalign.proof.drat import Refused, Step, parse_drat
from superalign.proof.formula import Formula
from superalign.proof.kernels import KERNELS
from superalign.proof.packaged import solve

PROPOSERS = ("cadical195", "glucose4", "lingeling", "maplecm")
SECOND = "cadical153"  # is asked about every formula, too


class Soundness(Record):
    """What a sweep counted. `wrong` and `spoilt_accepted` have to be 0."""

    formulas: int
    seed: int
    proved: int = 0
    refuted: int = 0
    unknown: int = 0
    wrong: int = Field(0, description="Proved or refuted against what counting out says.")
    disagreements: int = Field(0, description="The second solver's claim is another than the answer.")
    spoilt: int = Field(0, description="Spoilt proofs, and proofs of other formulas, offered for satisfiable formulas.")
    spoilt_accepted: int = Field(0, description="Of these, accepted by all kernels.")
    spoilt_accepted_by: dict[str, int] = Field(default_factory=dict, description="Of these, accepted by each kernel.")


def random_formula(draw: random.Random) -> Formula:
    """3 to 9 variables, clauses of 1 to 4 literals in some mixture; about as often satisfiable as not."""
    variables = draw.randint(3, 9)
    lengths = draw.choice(((3,), (2, 3), (1, 2, 3), (2, 3, 4), (3, 4)))
    rate = {1: 0.6, 2: 1.1, 3: 4.3, 4: 9.0}
    count = round(variables * sum(rate[n] for n in lengths) / len(lengths) * draw.uniform(0.7, 1.4))
    clauses = (
        tuple(draw.choice((1, -1)) * draw.randint(1, variables) for _ in range(draw.choice(lengths)))
        for _ in range(max(count, 1))
    )
    return Formula(variables, tuple(clauses))


def satisfiable(formula: Formula) -> bool:
    """By counting out every assignment."""
    signs = product((1, -1), repeat=formula.variables)
    models = ([sign * (i + 1) for i, sign in enumerate(each)] for each in signs)
    return any(formula.falsified(model) is None for model in models)


def accepted_by(formula: Formula, proof: list[Step]) -> list[str]:
    """The kernels that accept the proof."""
    names = []
    for name, kernel in KERNELS.items():
        try:
            kernel(formula, proof)
        except Refused:
            continue
        names.append(name)
    return names


def answer(formula: Formula, solver: str) -> tuple[str, list[Step]]:
    """As `settle` comes to it, in this process; with the proof, where there is one."""
    model, text = solve(solver, formula)
    if model is not None:
        try:
            return ("refuted" if formula.falsified(model) is None else "unknown"), []
        except InputError:
            return "unknown", []
    proof = parse_drat(text)
    return ("proved" if len(accepted_by(formula, proof)) == len(KERNELS) else "unknown"), proof


def spoilt(proof: list[Step], formula: Formula, draw: random.Random) -> Iterator[list[Step]]:
    """The proof with a step dropped, a literal turned, its end cut, clauses deleted; noise; nothing; its end alone."""
    at = draw.randrange(len(proof))
    yield proof[:at] + proof[at + 1 :]
    step = proof[at]
    if step.literals:
        which = draw.randrange(len(step.literals))
        turned = tuple(-literal if i == which else literal for i, literal in enumerate(step.literals))
        yield [*proof[:at], Step(turned, step.deletes), *proof[at + 1 :]]
    yield proof[:at]
    yield [*(Step(clause, deletes=True) for clause in formula.clauses if draw.random() < 0.5), *proof]
    noise = [
        Step(tuple(draw.choice((1, -1)) * draw.randint(1, formula.variables) for _ in range(draw.randint(1, 3))))
        for _ in range(draw.randint(1, 6))
    ]
    yield [*noise, Step(())]
    yield []
    yield [Step(())]


def sweep(formulas: int, seed: int) -> Soundness:
    """Ask about so many random formulas, and offer satisfiable ones what proofs of others were made into."""
    draw, found = random.Random(seed), dict.fromkeys(Soundness.model_fields, 0)
    by_kernel, last = dict.fromkeys(KERNELS, 0), [Step((1,)), Step(())]
    for number in range(formulas):
        formula = random_formula(draw)
        truth = satisfiable(formula)
        status, proof = answer(formula, PROPOSERS[number % len(PROPOSERS)])
        found[status] += 1
        found["wrong"] += status == ("proved" if truth else "refuted")
        found["disagreements"] += status != "unknown" and (solve(SECOND, formula)[0] is None) != (status == "proved")
        last = proof or last
        for offered in [last, *spoilt(last, formula, draw)] if truth else ():
            kernels = accepted_by(formula, offered)
            found["spoilt"] += 1
            found["spoilt_accepted"] += len(kernels) == len(KERNELS)
            for name in kernels:
                by_kernel[name] += 1
    return Soundness.model_validate(found | {"formulas": formulas, "seed": seed, "spoilt_accepted_by": by_kernel})
