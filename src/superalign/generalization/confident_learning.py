"""Which labels are likely to be wrong, by the labels alone: the baseline of those who clean data.

Northcutt, Jiang and Chuang 2019, *Confident Learning* (arXiv 1911.00068), section 3: a label is doubted where another
one is confidently predicted, out of sample. It doubts the very labels that cleanlab does with
`filter_by="confident_learning"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from superalign.contracts.records import Question, Record
from superalign.models.handle import ModelIdentity, open_base
from superalign.tasks.splits import by_group

DEPTH = 0.6  # of the layer that is read, as a fraction of the model's: where the trained layers begin
REGULARIZATION = 1e-3
FOLDS = 5


class Doubts(Record):
    """Whether each label is likely to be wrong."""

    doubted: tuple[bool, ...]


def doubts(folder: Path, *, model: ModelIdentity, questions: tuple[Question, ...], labels: tuple[bool, ...]) -> Doubts:
    """Of labels of `questions`, from what the untrained model holds inside when it is asked them."""
    base = open_base(model)
    layer = max(1, round(DEPTH * base.layers))
    read = base.activations([question.asked for question in questions], [layer])[:, 0].astype(np.float64)
    return Doubts(doubted=tuple(doubted(np.array(labels), out_of_sample(read, labels, by_group(questions))).tolist()))


def out_of_sample(
    read: Float[np.ndarray, "questions width"], labels: Sequence[bool], groups: Sequence[str]
) -> Float[np.ndarray, "questions"]:
    """The probability of yes by a linear judge that learnt the labels of other groups."""
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARIZATION, max_iter=1000))
    folds = GroupKFold(min(FOLDS, len(set(groups))))
    return np.asarray(cross_val_predict(judge, read, labels, groups=groups, cv=folds, method="predict_proba")[:, 1])


def doubted(
    labels: Bool[np.ndarray, "questions"], probability: Float[np.ndarray, "questions"]
) -> Bool[np.ndarray, "questions"]:
    """Labels off the diagonal of the confident joint (equation 1): the other answer is likelier, and its probability is
    at least what its own labels get on average. As in cleanlab, a label that is the likelier answer is never doubted.
    """
    of = np.stack([1 - probability, probability])
    usual = np.array([of[kind][labels == bool(kind)].mean() for kind in (0, 1)])
    other, every = 1 - labels.astype(int), np.arange(len(labels))
    return np.asarray((of[other, every] >= usual[other]) & (of[other, every] > 0.5))
