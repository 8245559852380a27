"""Is it ever wrong about assertions? Small random ones, over few values, whose truth is counted out."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from pydantic import Field

from superalign.contracts.records import Record
from superalign.proof.drat import parse_drat
from superalign.proof.kernels import KERNELS
from superalign.proof.packaged import solve
from superalign.proof.smt.assertions import Lemmas, added_up, read_lemmas
from superalign.proof.smt.lower import Lowering
from superalign.proof.smt.reader import Script, holds, read_script
from superalign.proof.smt.search import search
from superalign.proof.smt.terms import BINARY, BIT_COMPARISONS, Value, evaluate
from superalign.proof.soundness import accepted_by

SOLVER = "cadical195"
Truth = Callable[[Script], bool]


class SmtSoundness(Record):
    """What a sweep counted. `wrong` has to be 0."""

    problems: int
    seed: int
    proved: int = 0
    refuted: int = 0
    unknown: int = 0
    wrong: int = Field(0, description="Proved or refuted against what counting out says.")
    lemmas: int = Field(0, description="Of arithmetic, that were proposed.")
    branches: int = Field(0, description="Integers that were compared with something on the way.")


def sweep(problems: int, seed: int) -> SmtSoundness:
    """Ask about so many random problems, of bits, integers and functions in turn."""
    draw = random.Random(seed)
    found = dict.fromkeys(SmtSoundness.model_fields, 0) | {"problems": problems, "seed": seed}
    for number in range(problems):
        text, truth = (of_bits, of_integers, of_functions)[number % 3](draw)
        status, lemmas = answer(text)
        found[status] += 1
        found["lemmas"] += len(lemmas.lemmas)
        found["branches"] += len(lemmas.branches)
        found["wrong"] += status != "unknown" and truth(read_script(text, "random")) == (status == "proved")
    return SmtSoundness.model_validate(found)


def answer(text: str) -> tuple[str, Lemmas]:
    """As the engine comes to it, in this process."""
    script = read_script(text, "random")
    lowering, proposed = Lowering(script), Lowering(script)
    lemmas = Lemmas()
    if lowering.atoms:
        found = search(proposed)
        if "model" in found:
            return ("refuted" if holds(script, str(found["model"]), "model") is None else "unknown"), lemmas
        lemmas = read_lemmas(found, "search")
        if not added_up(lowering, lemmas).accepted:
            return "unknown", lemmas
    formula = lowering.formula(lemmas.lemmas)
    model, proof = solve(SOLVER, formula)
    if model is None:
        return ("proved" if len(accepted_by(formula, parse_drat(proof))) == len(KERNELS) else "unknown"), lemmas
    if lowering.atoms:
        return "unknown", lemmas
    return ("refuted" if holds(script, lowering.model(set(model), {}), "model") is None else "unknown"), lemmas


def of_bits(draw: random.Random) -> tuple[str, Truth]:
    """A few assertions over three vectors of 1 to 3 bits and a truth value."""
    wide = draw.choice((1, 2, 3))
    names = dict.fromkeys("xyz", f"(_ BitVec {wide})") | {"p": "Bool"}
    text = declared(names) + "".join(f"(assert {_bits(draw, 3, wide, 'Bool')})" for _ in range(draw.randint(2, 6)))
    domain = {name: (False, True) if sort == "Bool" else range(1 << wide) for name, sort in names.items()}
    return text, lambda script: counted_out(script, domain)


def of_integers(draw: random.Random) -> tuple[str, Truth]:
    """A few assertions over three integers from -2 to 2."""
    kept = "".join(f"(assert (<= (- 2) {name} 2))" for name in "xyz")
    text = declared(dict.fromkeys("xyz", "Int")) + kept
    text += "".join(f"(assert {_integers(draw, draw.choice((0, 0, 1, 2)))})" for _ in range(draw.randint(2, 6)))
    return text, lambda script: counted_out(script, dict.fromkeys("xyz", range(-2, 3)))


def of_functions(draw: random.Random) -> tuple[str, Truth]:
    """Equations between a, b, f a, f b, f f a and f f b, of a sort of which nothing is known."""

    def term(depth: int) -> str:
        return draw.choice("ab") if depth == 0 else f"(f {term(depth - 1)})"

    def atom() -> str:
        text = f"(= {term(draw.randint(0, 2))} {term(draw.randint(0, 1))})"
        return f"(not {text})" if draw.random() < 0.5 else text

    head = "(declare-sort U 0)(declare-fun f (U) U)(declare-const a U)(declare-const b U)"
    return head + "".join(f"(assert (or {atom()} {atom()}))" for _ in range(draw.randint(3, 6))), _some_partition


def _some_partition(script: Script) -> bool:
    """Whether some way in which the six terms are the same or not satisfies it: no term goes further."""
    for a, b, fa, fb, ffa, ffb in product(range(6), repeat=6):
        values, table = [a, b, fa, fb, ffa, ffb], dict[Value, int]()
        renamed = any(value > max(values[:place], default=-1) + 1 for place, value in enumerate(values))
        if renamed or any(table.setdefault(of, to) != to for of, to in ((a, fa), (b, fb), (fa, ffa), (fb, ffb))):
            continue
        named = {"a": a, "b": b}
        if all(evaluate(script.assertions, lambda t, args, f=table, v=named: f[args[0]] if args else v[t.name])):  # type: ignore[misc]
            return True
    return False


def declared(names: Mapping[str, str]) -> str:
    """Declarations of symbols by their sorts."""
    return "".join(f"(declare-const {name} {sort})" for name, sort in names.items())


def counted_out(script: Script, domain: Mapping[str, Sequence[Value]]) -> bool:
    """Whether any of all values makes every assertion true."""
    for values in product(*domain.values()):
        named = dict(zip(domain, values, strict=True))
        if all(evaluate(script.assertions, lambda term, args, v=named: v[term.name])):  # type: ignore[misc]
            return True
    return False


def _bits(draw: random.Random, depth: int, wide: int, sort: str) -> str:
    def inner(of: str = "bits") -> str:
        return _bits(draw, depth - 1, wide, of)

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


def _integers(draw: random.Random, depth: int) -> str:
    if depth == 0:
        factors = [draw.randint(-3, 3) for _ in "xyz"]
        terms = " ".join(f"(* {k if k >= 0 else f'(- {-k})'} {name})" for k, name in zip(factors, "xyz", strict=True))
        return f"({draw.choice(('<', '<=', '=', '>', '>=', 'distinct'))} (+ {terms}) {draw.randint(0, 4)})"
    first, second = _integers(draw, depth - 1), _integers(draw, depth - 1)
    if draw.random() < 0.2:
        return f"(= (ite {first} x (+ y 1)) (ite {second} z (- x)))"
    return draw.choice(
        (f"(or {first} {second})", f"(and {first} {second})", f"(not {first})", f"(xor {first} {second})")
    )
