"""Distillation: a model learns to say at once what the amplified judge says after many readings.

One round of iterated amplification (Christiano et al. 2018, arXiv 1810.08575).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.amplification import Amplification
from superalign.oversight.expert import Argument
from superalign.oversight.hearing import Hearings, Ruling, ruling
from superalign.oversight.judge import probabilities, taught_judge
from superalign.oversight.pupil import lesson, taught_further


@overseers.register("distillation")
class Distillation(Amplification):
    """A model trained on amplified judgements of some of the questions reads all evidence of the others at once.

    Whatever is asked is amplified, without any truth. Its groups are then dealt into two halves, alike in length. The
    embedded judge is taught the answers to each half, and answers the other: no question's judgement rests on its own
    amplification. What is trained is the model that comes with what is given; as it is, where it shows no weights.
    Amplification and training are part of the cost.
    """

    name = "distillation"

    def learn(self, given: Trusted) -> Self:
        super().learn(given)
        self._start = taught_judge(given, given.seed)
        return self

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        amplified = super()._hear(hearings)
        whole = [own.after("All evidence", Argument(tuple(range(len(own.question.evidence))))) for own in hearings]
        halves = self._dealt([own.question for own in hearings])
        lessons = [
            [
                lesson(whole[place].sitting, found.probability)
                for place in half
                if isinstance(found := amplified[place], Ruling)
            ]
            for half in halves
        ]
        size = min(map(len, lessons))
        if not size:
            reason = "nothing was amplified but what is asked itself: there is nothing to learn from"
            return [Unscored(reason=reason) for _ in hearings]
        pupils = taught_further(self._start, [own[:size] for own in lessons], self._court.given.seed)
        answers: dict[int, float | Unscored] = {}
        for pupil, others in zip(pupils, reversed(halves), strict=True):
            answers |= zip(others, probabilities(pupil, [whole[place].sitting.asked for place in others]), strict=True)
        return [ruling(own, answers[place]) for place, own in enumerate(whole)]

    def _dealt(self, questions: Sequence[Question]) -> tuple[list[int], list[int]]:
        """The places of the questions in two halves, by group, alike in how much evidence there is."""
        rng = random.Random(self._court.given.seed)
        length = {question.group: len(question.evidence) for question in questions}
        drawn = sorted(rng.sample(sorted(length), len(length)), key=lambda group: length[group])
        second = set(drawn[1::2])
        places = range(len(questions))
        return (
            [place for place in places if questions[place].group not in second],
            [place for place in places if questions[place].group in second],
        )
