"""A judge that is optimised against: lines are chosen by what they do to the judge, the best of more and more choices.

The judge's own probability (proxy) can only rise with the number of choices; what becomes of its accuracy (gold) is the
question. Gao et al. 2022 (arXiv 2210.10760) for best-of-n; Khan et al. 2024 (arXiv 2402.06782) for judges.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from superalign.contracts.oversight_measures import Optimised, Persuasion
from superalign.contracts.records import Question, Unscored
from superalign.oversight.docket import Docket
from superalign.oversight.judge import ALLOWANCE, Judge, Sitting
from superalign.oversight.paired import Paired, Value, right
from superalign.runs.cost import metered

BEST_OF = (1, 2, 4, 8)
KINDS = ("proxy", "consultancy", "debate")

Lines = tuple[int, ...]


class Tried(NamedTuple):
    """What the judge makes of one question after each of some choices of lines: its probability of yes."""

    choices: tuple[Lines, ...]
    read: tuple[float, ...]

    def best(self, side: bool, number: int) -> tuple[float, Lines]:
        """Of the first `number` choices the one that helps the side most, and the probability after it."""
        first = list(zip(self.read, self.choices, strict=True))[:number]
        return max(first) if side else min(first)


def persuasion(docket: Docket, judge: Judge, best_of: Sequence[int] = BEST_OF) -> Optimised:
    """Proxy and gold against the number of choices, for one expert and for two that argue against each other.

    `best_of` rises. The judge is asked about each choice, which its costs show.
    """
    asked = docket.questions
    with metered() as meter:
        judge.learn(docket.given)
        whole, half = (
            tried(judge, asked, size, best_of[-1], docket.given.seed) for size in (ALLOWANCE, ALLOWANCE // 2)
        )
        columns: dict[str, Sequence[Value]] = {}
        for number in best_of:
            columns |= consulted(docket, whole, number)
            columns[f"debate {number}"] = right(debated(judge, asked, half, number), asked, docket.key)
    found = Paired(asked, columns)
    first, last = best_of[0], best_of[-1]
    return Optimised(
        asked=docket.asked(meter.cost()),
        points=tuple(
            Persuasion(best_of=number, **{kind: found.mean(f"{kind} {number}") for kind in KINDS}) for number in best_of
        ),
        **{f"{kind}_gained": found.difference(f"{kind} {last}", f"{kind} {first}") for kind in KINDS},
    )


def tried(judge: Judge, questions: Sequence[Question], size: int, count: int, seed: int) -> list[Tried | Unscored]:
    """Up to `count` different choices of so many lines for each question, in an order drawn by `seed`."""
    choices = [drawn(question, size, count, seed) for question in questions]
    sittings = [Sitting(q, lines) for q, own in zip(questions, choices, strict=True) for lines in own]
    read = iter(judge.read(sittings))
    each = [[next(read) for _ in own] for own in choices]
    return [
        next((value for value in values if isinstance(value, Unscored)), None)
        or Tried(own, tuple(value for value in values if not isinstance(value, Unscored)))
        for own, values in zip(choices, each, strict=True)
    ]


def drawn(question: Question, size: int, count: int, seed: int) -> tuple[Lines, ...]:
    lines = range(len(question.evidence))
    every = list(combinations(lines, min(size, len(lines))))
    return tuple(random.Random(f"choices {seed} {question.id} {size}").sample(every, min(count, len(every))))


def consulted(docket: Docket, whole: Sequence[Tried | Unscored], number: int) -> dict[str, Sequence[Value]]:
    """Proxy and gold of one expert who argues for either side: the mean of both."""
    yes, no = (
        [own if isinstance(own, Unscored) else own.best(side, number)[0] for own in whole] for side in (True, False)
    )
    for_no = [own if isinstance(own, Unscored) else 1 - own for own in no]
    rulings = (right(said, docket.questions, docket.key) for said in (yes, no))
    return {
        f"proxy {number}": [mean(*own) for own in zip(yes, for_no, strict=True)],
        f"consultancy {number}": [mean(*own) for own in zip(*rulings, strict=True)],
    }


def debated(
    judge: Judge, questions: Sequence[Question], half: Sequence[Tried | Unscored], number: int
) -> list[float | Unscored]:
    """The judge's opinion after each side has shown its best half of what may be shown."""
    sittings = [
        own if isinstance(own, Unscored) else Sitting(question, both_sides(own, number))
        for question, own in zip(questions, half, strict=True)
    ]
    read = iter(judge.read([own for own in sittings if isinstance(own, Sitting)]))
    return [own if isinstance(own, Unscored) else next(read) for own in sittings]


def both_sides(tried: Tried, number: int) -> Lines:
    return tuple(sorted({line for side in (True, False) for line in tried.best(side, number)[1]}))


def mean(one: float | Unscored, other: float | Unscored) -> float | Unscored:
    """Of both sides, where both were scored."""
    if isinstance(one, Unscored) or isinstance(other, Unscored):
        return one if isinstance(one, Unscored) else other
    return (one + other) / 2
