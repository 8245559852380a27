"""The typed language: what is checked, drawn, changed, measured and written down stays within it."""

from __future__ import annotations

import string
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.errors import InputError
from superalign.contracts.registry import problems
from superalign.contracts.research import Expression, Language, LanguagePart, OneOf, Problem, Within
from superalign.researcher.language import Grammar, put, size
from superalign.researcher.notation import read, written
from superalign.researcher.scale import at, choices, drawn, grid, place_of, stepped
from superalign.researcher.variation import crossed, distance, mutated
from superalign.testing.proposers import formulas, instruments
from superalign.testing.research import check_language
from tests.researcher.expressions import fits

GRAMMARS = [Grammar(toy.card.language) for toy in (instruments(), formulas())]
GRAMMAR = GRAMMARS[0]
DOMAINS = [
    OneOf(options=("a", "b", "c")),
    OneOf(options=(1, True, 1.0)),
    Within(low=-2, high=3),
    Within(low=1e-6, high=1e3, log=True),
    Within(low=0.5, high=3.5, whole=True),
    Within(low=1, high=1000, whole=True, log=True),
    Within(low=-3, high=-1, whole=True),
]
seeds = st.integers(0, 2**32 - 1)
values = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
names = st.text(string.ascii_letters + string.digits + "_", min_size=1).filter(lambda name: not name[0].isdigit())
expressions = st.recursive(
    st.builds(
        lambda part, parameters: Expression(part=part, parameters=parameters), names, st.dictionaries(names, values)
    ),
    lambda below: st.builds(
        lambda part, inputs, parameters: Expression(part=part, inputs=tuple(inputs), parameters=parameters),
        names,
        st.lists(below, max_size=3),
        st.dictionaries(names, values, max_size=2),
    ),
    max_leaves=6,
)


def part(name: str, gives: str = "t", *takes: str, **parameters: Any) -> LanguagePart:
    return LanguagePart(name=name, says="It does.", gives=gives, takes=takes, parameters=parameters)


def language(*parts: LanguagePart, depth: int = 3, root: str = "t") -> Language:
    return Language(root=root, parts=parts, depth=depth)


@pytest.mark.parametrize("name", problems.names())
def test_every_registered_problem_speaks_its_language(name: str) -> None:
    problem = problems.make(name)
    assert isinstance(problem, Problem)
    check_language(problem)
    assert fits(problem.card.language, problem.card.baseline)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(seeds, st.sampled_from(DOMAINS))
def test_values_are_of_their_domain_and_have_a_place_there(seed: int, domain: OneOf | Within) -> None:
    generator = rng(seed)
    value = drawn(domain, generator)
    assert domain.holds(value)
    back = at(domain, place_of(domain, value))
    assert type(back) is type(value) and back == pytest.approx(value)
    other = stepped(domain, value, generator)
    assert domain.holds(other) and (type(other), other) != (type(value), value)
    assert all(domain.holds(point) for point in grid(domain, 7)) and len(grid(domain, 7)) <= 7


@pytest.mark.parametrize("domain", [domain for domain in DOMAINS[:5] if choices(domain)], ids=str)
def test_all_values_of_a_list_and_whole_numbers_have_their_share(domain: OneOf | Within) -> None:
    found = [at(domain, (i + 0.5) / 1200) for i in range(1200)]
    shares = {(type(value), value): found.count(value) for value in found}
    assert len(shares) == choices(domain)
    if not (isinstance(domain, OneOf) and True in domain.options):
        assert set(shares.values()) == {1200 // len(shares)}


@given(seeds, seeds, st.sampled_from(GRAMMARS))
def test_what_is_drawn_changed_and_crossed_stays_in_the_language(one: int, two: int, grammar: Grammar) -> None:
    generator = rng(one)
    first, second = grammar.draw(generator), grammar.draw(rng(two))
    changed, child = mutated(grammar, first, generator), crossed(grammar, first, second, generator)
    for expression in (first, second, changed, child):
        grammar.check(expression)
        assert read(written(expression)) == expression
    assert changed != first
    apart = distance(grammar, first, second)
    assert apart == distance(grammar, second, first) <= max(size(first), size(second))
    assert (apart == 0) == (first == second)
    assert distance(grammar, first, first) == 0 < distance(grammar, first, changed)


@given(seeds, seeds)
def test_a_child_is_made_of_its_parents(one: int, two: int) -> None:
    first, second = GRAMMAR.draw(rng(one)), GRAMMAR.draw(rng(two))
    child = crossed(GRAMMAR, first, second, rng(one))
    pieces = [piece for _, _, _, piece in GRAMMAR.places(second)]
    made = [put(first, path, piece) for path, _, _, _ in GRAMMAR.places(first) for piece in pieces]
    assert child == first or child in made


@given(expressions)
@settings(max_examples=200)
def test_what_is_written_is_read_again(expression: Expression) -> None:
    found = read(written(expression))
    assert found == expression and found.model_dump_json() == expression.model_dump_json()


@given(st.text(max_size=40) | st.text('abc(),="1.e-\\ truefalse', max_size=30))
def test_what_is_no_expression_is_refused_and_never_read_as_another(text: str) -> None:
    try:
        found = read(text)
    except InputError as error:
        assert error.where and error.fix
    else:
        assert read(written(found)) == found


NO_EXPRESSIONS = [
    *("", "a", "a(", "a()b", "a(,)", "a(b(),)", "a(x=1,)", "a(x=1, b())", "a(x=1, x=2)", "1()", "a(x='b')", "a(x=[1])"),
    *("a(x=nan)", "a(x=Infinity)", "a(x=1e999)", "a(x=01)", "a(x=None)", "a(x=True)", "a(x=__import__)", 'a(x="b)'),
    *("a(x=" + "9" * 5000 + ")", "a(" * 200 + ")" * 200, "a" * 100_001),
]


@pytest.mark.parametrize("text", NO_EXPRESSIONS, ids=range(len(NO_EXPRESSIONS)))
def test_nothing_else_is_an_expression(text: str) -> None:
    with pytest.raises(InputError):
        read(text)


@pytest.mark.parametrize(
    ("text", "said", "where"),
    [
        ("nrom(layer(number=1))", "Did you mean 'norm'", "root"),
        ("layer(number=1)", "gives vectors, where score is wanted", "root"),
        ("norm(norm(layer(number=1)))", "gives score, where vectors is wanted", "root > norm, input 1"),
        ("norm()", "has 0 inputs, and takes 1", "root"),
        ("norm(layer(number=1), scale=2)", "has no parameter 'scale'", "root"),
        ("norm(layer(nubmer=1))", "Did you mean 'number'", "root > norm, input 1"),
        (
            "norm(layer())",
            "lacks its parameter 'number'. (root > norm, input 1) Give a whole number from 0 to 11",
            "root",
        ),
        ("norm(layer(number=12))", "can't have number = 12", "root > norm, input 1"),
        ("norm(layer(number=1.0))", "can't have number = 1.0", "root > norm, input 1"),
        ("norm(layer(number=true))", "can't have number = True", "root > norm, input 1"),
        (
            "norm(centred(centred(centred(layer(number=1)))))",
            "deeper than 4",
            "root > norm, input 1 > centred, input 1",
        ),
    ],
)
def test_what_is_not_of_the_language_is_named_with_its_place_and_the_fix(text: str, said: str, where: str) -> None:
    with pytest.raises(InputError) as error:
        GRAMMAR.check(read(text))
    assert said in str(error.value) and error.value.where and error.value.where.startswith(where) and error.value.fix


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (language(part("a", "u")), "No value of type 't'"),
        (language(part("a", "t", "t")), "No value of type 't'"),
        (language(part("a", "t", "u"), part("b", "u", "v"), part("c", "v"), depth=2), "within a depth of 2; the root"),
        (language(part("a"), part("b", "t", "u")), "No value of type 'u' .* 2; the part b wants one"),
        (language(part("a"), part("a")), "two parts named a"),
        (language(part("a", x=Within(low=0.2, high=0.8, whole=True))), "no whole number"),
    ],
)
def test_a_language_without_expressions_is_refused(wrong: Language, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Grammar(wrong)


def test_the_size_is_the_number_of_expressions() -> None:
    grammar = Grammar(
        language(
            part("leaf", k=OneOf(options=(1, 2))),
            part("one", "t", "t"),
            part("two", "t", "t", "u"),
            part("u", "u"),
            depth=3,
        )
    )
    leaves = [Expression(part="leaf", parameters={"k": k}) for k in (1, 2)]
    other = Expression(part="u")

    def above(below: list[Expression]) -> list[Expression]:
        one = [Expression(part="one", inputs=(a,)) for a in below]
        return leaves + one + [Expression(part="two", inputs=(a, b)) for a, b in product(below, [other])]

    every = above(above(leaves))
    assert grammar.size() == len(every)
    found = {grammar.draw(rng(seed)).model_dump_json() for seed in range(1000)}
    assert found == {expression.model_dump_json() for expression in every}
    assert GRAMMAR.size() is None


def test_parts_that_fit_are_equally_likely() -> None:
    roots = [GRAMMAR.draw(rng(seed)).part for seed in range(3000)]
    for name in ("probe", "norm", "blend"):
        assert abs(roots.count(name) / 3000 - 1 / 3) < 4 * (2 / 9 / 3000) ** 0.5


def test_the_only_expression_has_no_neighbour() -> None:
    alone = Grammar(language(part("a")))
    only = alone.draw(rng(0))
    assert mutated(alone, only, rng(0)) == crossed(alone, only, only, rng(0)) == only


def test_mutation_keeps_parameters_that_mean_the_same() -> None:
    share = Within(low=0, high=1)
    grammar = Grammar(language(part("a", x=share), part("b", x=share, y=OneOf(options=("only",))), depth=1))
    start = Expression(part="a", parameters={"x": 0.25})
    found = [mutated(grammar, start, rng(seed)) for seed in range(60)]
    assert any(one == Expression(part="b", parameters={"x": 0.25, "y": "only"}) for one in found)
    near = [abs(float(one.parameters["x"]) - 0.25) for one in found if one.part == "a"]
    assert sum(move < 0.3 for move in near) > len(near) * 0.6
