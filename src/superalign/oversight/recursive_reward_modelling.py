"""Recursive reward modelling: evaluators that were trained on small tasks help to evaluate larger ones.

Leike et al. 2018 (arXiv 1811.07871).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject, Taught, Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.combination import Reading, read_in_parts, single_lines
from superalign.oversight.expert import OWN_SEED, Argument
from superalign.oversight.hearing import Court, Hearing, Hearings, Ruling
from superalign.oversight.judge import ALLOWANCE, EMBEDDED, Sitting, probabilities, taught_judge
from superalign.oversight.pupil import lesson, taught_further

GENERATIONS = 3


@overseers.register("recursive-reward-modelling")
class RecursiveRewardModelling:
    """A helper finds what the judge is to look at, and learns from what it helped to judge to help with more.

    The first helper is taught by the given labels, where the judge needs no help. What is asked is put into stages by
    how much evidence there is. In each, the helper reads every line and shows the judge those that move it furthest
    from its own answer to the bare question; the judge's answers, said of each line alone, then teach the helper of the
    next stage. So no truth is used beyond what was given, and no helper has learnt from a group, nor from one as large,
    as it helps with.

    `generations` is the largest number of helpers. They are the model that comes with what is given; it stays as it is
    where it shows no weights.
    """

    name = "recursive-reward-modelling"

    def __init__(self, judge: str = EMBEDDED, generations: int = GENERATIONS) -> None:
        if generations < 1:
            raise InputError(f"There can't be {generations} generations of helpers.", fix="Say 1 or more.")
        self._court, self._generations = Court(judge), generations

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        self._first = taught_judge(given, given.seed + OWN_SEED)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        helper, rulings, lessons = self._first, dict[int, Ruling | Unscored](), list[Taught]()
        for stage in stages([own.question for own in hearings], self._generations):
            if lessons:
                [helper] = taught_further(helper, [lessons], self._court.given.seed)
            ruled = self._assisted(helper, [hearings[place] for place in stage])
            rulings |= zip(stage, ruled, strict=True)
            lessons = lessons_of([hearings[place].question for place in stage], ruled)
        return [rulings[place] for place in range(len(hearings))]

    def _assisted(self, helper: Subject, hearings: Hearings) -> list[Ruling | Unscored]:
        def read(sittings: Sequence[Sitting]) -> list[float | Unscored]:
            return probabilities(helper, [sitting.asked for sitting in sittings])

        questions = [own.question for own in hearings]
        found = read_in_parts(read, questions, [single_lines(question) for question in questions])
        return self._court.rule([shown(*each) for each in zip(hearings, found, strict=True)])


def stages(questions: Sequence[Question], most: int) -> list[list[int]]:
    """The places of the questions, those with less evidence first, in at most so many stages; a group in one stage."""
    length: dict[str, int] = {}
    for question in questions:
        length[question.group] = max(length.get(question.group, 0), len(question.evidence))
    lengths = sorted(set(length.values()))
    return [
        [place for place, question in enumerate(questions) if length[question.group] in own]
        for own in np.array_split(lengths, min(most, len(lengths)))
    ]


def shown(opened: Hearing, found: Reading | Unscored) -> Hearing | Unscored:
    """The lines that move the helper furthest, either way, as many as a judge may read."""
    if isinstance(found, Unscored):
        return found
    order = sorted(range(len(found.parts)), key=lambda line: -abs(found.shifts[line]))
    return opened.after("The helper", Argument(tuple(order[:ALLOWANCE])))


def lessons_of(questions: Sequence[Question], rulings: Sequence[Ruling | Unscored]) -> list[Taught]:
    """Each line alone, and the answer that the judge gave after what it was shown."""
    return [
        lesson(Sitting(question, line), found.probability)
        for question, found in zip(questions, rulings, strict=True)
        if isinstance(found, Ruling)
        for line in single_lines(question)
    ]
