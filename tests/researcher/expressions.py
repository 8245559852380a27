"""Solutions of a problem's language, run as the researcher runs them but without a sandbox."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from superalign.contracts.records import Unscored
from superalign.contracts.research import Domain, Expression, Language, OneOf, Problem, Sample, Value
from superalign.researcher.workbench.run import module


def parts_of(problem: Problem) -> Mapping[str, Any]:
    """The workbench's PARTS."""
    parts: Mapping[str, Any] = module(problem.workbench, "parts").PARTS
    return parts


def answered(problem: Problem, sample: Sample, solution: Expression) -> list[dict[str, np.ndarray]]:
    """A solution's answers at all stages."""
    parts, given, answers = parts_of(problem), {}, []
    for stage in range(problem.card.stages):
        given |= {**problem.ask(sample, answers), "stage": np.array(stage)}
        answers.append(value(parts, given, solution))
    return answers


def result(problem: Problem, sample: Sample, solution: Expression) -> float | Unscored:
    """What a solution scores."""
    return problem.score(sample, answered(problem, sample, solution))


def value(parts: Mapping[str, Any], given: Mapping[str, np.ndarray], node: Expression) -> Any:
    return parts[node.part](given, *[value(parts, given, own) for own in node.inputs], **node.parameters)


def every_part(language: Language, seed: int) -> list[Expression]:
    """An expression for each part of the language, with that part somewhere in it."""
    rng = random.Random(seed)
    return [rooted(language, part.name, rng) for part in language.parts]


def rooted(language: Language, name: str, rng: random.Random) -> Expression:
    """The smallest expression around a part that gives what is asked for at the root."""
    node, gives = drawn(language, name, rng), language.part(name).gives
    while gives != language.root:
        above = next(part for part in language.parts if gives in part.takes and part.gives != gives)
        place = above.takes.index(gives)
        others = [smallest(language, kind, rng) for kind in above.takes]
        node = Expression(
            part=above.name,
            parameters={key: value_in(domain, rng) for key, domain in above.parameters.items()},
            inputs=tuple(node if at == place else other for at, other in enumerate(others)),
        )
        gives = above.gives
    return node


def drawn(language: Language, name: str, rng: random.Random) -> Expression:
    part = language.part(name)
    return Expression(
        part=name,
        parameters={key: value_in(domain, rng) for key, domain in part.parameters.items()},
        inputs=tuple(smallest(language, kind, rng) for kind in part.takes),
    )


def smallest(language: Language, kind: str, rng: random.Random) -> Expression:
    """A part that takes nothing of the same type, with the least below it."""
    options = [part for part in language.giving(kind) if kind not in part.takes]
    return drawn(language, min(options, key=lambda part: len(part.takes)).name, rng)


def value_in(domain: Domain, rng: random.Random) -> Value:
    if isinstance(domain, OneOf):
        return rng.choice(domain.options)
    if domain.whole:
        return rng.randint(int(domain.low), int(domain.high))
    if domain.log:
        return math.exp(rng.uniform(math.log(domain.low), math.log(domain.high)))
    return rng.uniform(domain.low, domain.high)


def fits(language: Language, solution: Expression) -> bool:
    """Whether an expression is one of the language."""

    def holds(node: Expression, gives: str, depth: int) -> bool:
        part = language.part(node.part)
        return (
            depth > 0
            and part.gives == gives
            and set(part.parameters) == set(node.parameters)
            and all(part.parameters[name].holds(own) for name, own in node.parameters.items())
            and len(part.takes) == len(node.inputs)
            and all(holds(own, kind, depth - 1) for own, kind in zip(node.inputs, part.takes, strict=True))
        )

    return holds(solution, language.root, language.depth)
