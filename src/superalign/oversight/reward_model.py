"""Reward models: of a result, and of every step to it.

Christiano et al. 2017 (arXiv 1706.03741) for rewards from pairs; Lightman et al. 2023 (arXiv 2305.20050) for rewards of
steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.bradley_terry import Backend, RewardJudge
from superalign.oversight.direct import blindly, drawn
from superalign.oversight.hearing import Court, Hearings, Ruling
from superalign.oversight.process import in_parts, steps


@overseers.register("reward-model")
class RewardModel:
    """A reward learnt from pairs, of a question with as many lines of its evidence as may be read, drawn blindly.

    A question is judged by how its reward compares with the median of those that were given. `backend="trl"` trains the
    given model's weights by TRL's RewardTrainer; `fast` reads its activations.
    """

    name = "reward-model"

    def __init__(self, backend: Backend = "fast") -> None:
        self._court = Court(RewardJudge(lambda question, seed: [blindly(question, seed)], backend))

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        return self._court.rule(drawn(hearings, self._court.given.seed))


@overseers.register("process-reward-model")
class ProcessRewardModel:
    """A reward of every line by itself; a question gets the least of its lines'.

    It learns from what is known of whole questions, not of lines: every line of a right question is paired with every
    line of the wrong one beside it. Every line is read, in a pass of its own, which the costs show.
    """

    name = "process-reward-model"

    def __init__(self, backend: Backend = "fast") -> None:
        self._court = Court(RewardJudge(lambda question, seed: one_by_one(question), backend))

    def learn(self, given: Trusted) -> Self:
        self._court.learn(given)
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        return self._court.judgements(questions, self._hear)

    def _hear(self, hearings: Hearings) -> list[Ruling | Unscored]:
        parts = [steps(own, range(len(own.question.evidence))) or [own] for own in hearings]
        return in_parts(self._court, hearings, parts, min)


def one_by_one(question: Question) -> list[tuple[int, ...]]:
    """Its lines, each alone; the bare question where it has none."""
    return [(line,) for line in range(len(question.evidence))] or [()]
