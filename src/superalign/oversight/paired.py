"""What several parties did on the same questions, side by side, with intervals by a bootstrap over groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from superalign.contracts.oversight_measures import Measured
from superalign.contracts.protocols import AnswerKey, Overseer
from superalign.contracts.records import Judgement, Question, Unscored
from superalign.tasks.metrics import group_weights, percentile_interval
from superalign.tasks.splits import by_group

RESAMPLES = 1000
LEVEL = 0.95

Value = float | Unscored | None  # None: the question is not one that the column is about
Means = Float[np.ndarray, "resamples"]


class Paired:
    """Named columns with a value for each question. All statistics share one set of resamples of the groups."""

    def __init__(self, questions: Sequence[Question], columns: Mapping[str, Sequence[Value]]) -> None:
        self._columns, self._groups = columns, by_group(questions)
        self._drawn = group_weights(self._groups, RESAMPLES, np.random.default_rng(0))
        self._once = np.ones((1, len(self._groups)))

    def mean(self, name: str) -> Measured:
        """Mean of a column of shares from 0 to 1.

        Where hardly a value differs, resampling sees no way to be wrong: the interval always holds what as many single
        trials as there are groups, all alike, do not exclude.
        """
        found = self.of(lambda value: value, name)
        if isinstance(found, Unscored):
            return found
        groups = {group for group, kept in zip(self._groups, self._has(name), strict=True) if kept}
        excluded = ((1 - LEVEL) / 2) ** (1 / len(groups))
        return found.model_copy(update={"low": min(found.low, excluded), "high": max(found.high, 1 - excluded)})

    def difference(self, more: str, less: str, *, apart: bool = False) -> Measured:
        """Mean of `more` minus mean of `less`, as in `of`."""
        return self.of(lambda one, other: one - other, more, less, apart=apart)

    def of(self, statistic: Callable[..., Means], *names: str, apart: bool = False) -> Measured:
        """A statistic of the means of these columns, on the questions that have all of them; of each on its own
        questions if `apart`. `Unscored` where there is none.
        """
        own = [self._has(name) for name in names]
        kept = own if apart else [np.logical_and.reduce(own)] * len(names)
        for name, rows in zip(names, kept, strict=True):
            if not rows.any():
                return self._why_none((name,) if apart else names)
        columns = list(zip(names, kept, strict=True))
        once, drawn = (
            statistic(*(self._mean(name, rows, weights) for name, rows in columns))
            for weights in (self._once, self._drawn)
        )
        if not (np.isfinite(once).all() and np.isfinite(drawn).any()):
            return Unscored(reason="there is no such number for these accuracies")
        return percentile_interval(float(once[0]), drawn, LEVEL)

    def _has(self, name: str) -> Bool[np.ndarray, "questions"]:
        return np.array([isinstance(value, float) for value in self._columns[name]], dtype=bool)

    def _mean(
        self, name: str, rows: Bool[np.ndarray, "questions"], weights: Float[np.ndarray, "resamples questions"]
    ) -> Means:
        """NaN in a resample without any of these rows."""
        values = np.array([value for value, kept in zip(self._columns[name], rows, strict=True) if kept], dtype=float)
        total = weights[:, rows].sum(axis=1)
        return np.asarray(weights[:, rows] @ values / np.where(total > 0, total, np.nan))

    def _why_none(self, names: Sequence[str]) -> Unscored:
        reasons = (value for name in names for value in self._columns[name] if isinstance(value, Unscored))
        return next(reasons, Unscored(reason="there is no question to measure it on"))


def opinions(overseer: Overseer, questions: Sequence[Question]) -> list[float | Unscored]:
    """What an overseer says to each question, as a probability of yes."""
    return [own.probability if isinstance(own, Judgement) else own for own in overseer.judge(questions)]


def right(said: Sequence[float | Unscored], questions: Sequence[Question], key: AnswerKey) -> list[float | Unscored]:
    """1 for each right opinion, 0 for each wrong one, and half for one that is no opinion."""
    return [
        own if isinstance(own, Unscored) else 0.5 if own == 0.5 else float((own > 0.5) == truth)
        for own, truth in zip(said, key.of(questions), strict=True)
    ]
