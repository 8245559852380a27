"""A weak overseer: a linear judge that was given a few labels, on easy questions, over a shallow reading of each
question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from superalign.contracts.protocols import Trusted
from superalign.contracts.records import Cost, Judgement, Question, Unscored
from superalign.contracts.registry import overseers
from superalign.oversight.judge import Sitting
from superalign.runs.cost import metered


@overseers.register("few-labels")
class FewLabels:
    """A logistic judge on one shallow layer, taught by a few labels on easy questions; weak in data and in depth.

    `depth` is the fraction of the model's layers that it reads; of evidence it is shown none. The labels' groups must
    not be among those judged: its predictions are out of sample by construction, and a question from a labelled group
    comes back `Unscored`.
    """

    name = "few-labels"

    def __init__(self, depth: float = 0.4, regularization: float = 1e-3) -> None:
        self.depth, self.regularization = depth, regularization

    def learn(self, given: Trusted) -> Self:
        """Fit on the labelled questions, read by the model that came with them."""
        self._reader = given.subject
        self._layer = max(1, round(self.depth * given.subject.layers))
        self._known = groups_of(given)
        self._judge = make_pipeline(StandardScaler(), LogisticRegression(C=self.regularization, max_iter=1000))
        self._judge.fit(self._read(given.questions), given.key.of(given.questions))
        return self

    def judge(self, questions: Sequence[Question]) -> list[Judgement | Unscored]:
        """The judge's probability of yes for each question."""
        with metered() as meter:
            read = self._read(questions)
            readable = np.isfinite(read).all(axis=1)
            probabilities = self._judge.predict_proba(np.where(readable[:, None], read, 0))[:, 1]
        return out_of_sample(questions, np.where(readable, probabilities, np.nan), self._known, meter.cost())

    def _read(self, questions: Sequence[Question]) -> Float[np.ndarray, "questions width"]:
        return self._reader.activations([Sitting(question).asked for question in questions], [self._layer])[:, 0]


def groups_of(given: Trusted) -> frozenset[str]:
    """The groups on which an overseer was given labels."""
    return frozenset(question.group for question in given.questions)


def out_of_sample(
    questions: Sequence[Question], probabilities: Float[np.ndarray, "questions"], known: frozenset[str], cost: Cost
) -> list[Judgement | Unscored]:
    """A judgement for each probability of yes, at an equal share of `cost`; none on a group that was labelled, nor
    where the probability is not finite.
    """
    each = Cost(
        seconds=cost.seconds / max(1, len(questions)),
        tokens=cost.tokens // max(1, len(questions)),
        forward_passes=1,
        human_seconds=0,
    )
    found: list[Judgement | Unscored] = []
    for question, probability in zip(questions, probabilities.tolist(), strict=True):
        if question.group in known:
            why = "the overseer was given labels on this group: a prediction would not be out of sample"
            found.append(Unscored(reason=why))
        elif not np.isfinite(probability):
            found.append(Unscored(reason="the model that the overseer reads with gave numbers that are not finite"))
        else:
            found.append(Judgement(question_id=question.id, probability=probability, cost=each))
    return found
