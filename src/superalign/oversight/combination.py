"""How answers to the parts of a question become one answer, whatever kind of claim it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from sklearn.linear_model import LogisticRegression

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Question, Unscored
from superalign.oversight.judge import Sitting

WEAK = 10.0  # regularization: shifts are less than 1, and of few questions the truth is given
Read = Callable[[Sequence[Sitting]], list[float | Unscored]]  # probabilities of yes, as a judge reads
Part = tuple[int, ...]  # lines of a question's evidence, in their order


@dataclass(frozen=True)
class Reading:
    """A reader's probabilities of yes: `bare`, from the question alone, and after each part of its evidence alone."""

    bare: float
    parts: tuple[float, ...]

    @property
    def shifts(self) -> list[float]:
        """How far each part moves the reader: above 0 towards yes."""
        return [probability - self.bare for probability in self.parts]


class Combination:
    """A logistic regression on two shifts: the one furthest towards no, and the one furthest towards yes.

    Where one line decides, both come to weigh alike; where all lines must be right, the first does it all. Which it is,
    is learnt from the questions whose truth was given, read line by line; nothing else is known of the task. Extremes
    of extremes are extremes, so it is all the same in which order parts are combined, or up which tree.
    """

    def learn(self, read: Read, given: Trusted) -> Self:
        """Fit to what a reader, who has learnt already, makes of each line of what was given."""
        asked = [question for question in given.questions if question.evidence]
        found = read_in_parts(read, asked, [single_lines(question) for question in asked])
        truth = given.key.of(asked).tolist()
        moved = [(own.shifts, is_true) for own, is_true in zip(found, truth, strict=True) if isinstance(own, Reading)]
        self._model = None
        if {is_true for _, is_true in moved} == {True, False}:
            self._model = LogisticRegression(C=WEAK)
            self._model.fit([extremes(shifts) for shifts, _ in moved], [is_true for _, is_true in moved])
        return self

    def combined(self, bare: float, shifts: Sequence[float]) -> float | Unscored:
        """The probability of yes: `bare` where there is nothing to combine."""
        if not shifts:
            return bare
        if self._model is None:
            return Unscored(reason="of no true and no false question with evidence the truth was given")
        return float(self._model.predict_proba([extremes(shifts)])[0, 1])


def read_in_parts(
    read: Read, questions: Sequence[Question], parts: Sequence[Sequence[Part]]
) -> list[Reading | Unscored]:
    """What a reader makes of each question, asked once without evidence and once with each of its parts."""
    asked = [
        [Sitting(question), *(Sitting(question, part) for part in own)]
        for question, own in zip(questions, parts, strict=True)
    ]
    found = iter(read([sitting for own in asked for sitting in own]))
    return [reading([next(found) for _ in own]) for own in asked]


def reading(found: Sequence[float | Unscored]) -> Reading | Unscored:
    """Of the answer to the bare question and those to its parts; `Unscored` where one of them is."""
    told = [answer for answer in found if not isinstance(answer, Unscored)]
    if len(told) < len(found):
        return next(answer for answer in found if isinstance(answer, Unscored))
    return Reading(told[0], tuple(told[1:]))


def single_lines(question: Question) -> list[Part]:
    return [(line,) for line in range(len(question.evidence))]


def extremes(shifts: Sequence[float]) -> tuple[float, float]:
    return min(shifts), max(shifts)
