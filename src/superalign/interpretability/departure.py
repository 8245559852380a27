"""How activity in a context differs from plain activity, beyond what the base's difference in that context explains.

Two looks. *Departure* is the distance from plain activity: Mahalanobis with the covariance shrunk (Lee et al. 2018,
arXiv 1807.03888; Ledoit and Wolf 2004), and to the nearest plain neighbours (Sun et al. 2022, arXiv 2204.06507), which
assumes no shape. A question is never measured against a fit that has seen its group: in as many dimensions as examples,
what was fitted is always near. *Rearrangement* is how far questions move relative to one another: what a context adds
to all alike, such as another form of answer, cancels; what depends on the question, such as its truth, does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.stats import median_abs_deviation, theilslopes
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

FOLDS = 5
NEIGHBOURS = 5
# Excess in log distance that is nobody's anomaly: where contexts hardly differ, rounding would deviate most.
LEAST_SPREAD = 0.03
LEAST = 1e-12  # distance, so that it has a logarithm


@dataclass(frozen=True)
class Activity:
    """One layer's activity: of plain questions, and of the first `asked` of them in every context."""

    plain: Float[np.ndarray, "questions width"]
    contexts: Float[np.ndarray, "contexts asked width"]

    def __sub__(self, other: Activity) -> Activity:
        return Activity(self.plain - other.plain, self.contexts - other.contexts)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.plain).all() and np.isfinite(self.contexts).all())


Look: TypeAlias = Callable[[Activity, Sequence[str]], Float[np.ndarray, "measures contexts asked"]]


def departure(activity: Activity, groups: Sequence[str]) -> Float[np.ndarray, "measures contexts asked"]:
    """Log of a question's distance from plain activity in a context over its distance asked plainly: Mahalanobis, then
    nearest neighbours.
    """
    count, asked, width = activity.contexts.shape
    found = np.zeros((2, count, asked))
    for train, test in GroupKFold(FOLDS).split(activity.plain, groups=groups):
        own = test[test < asked]
        if not len(own):
            continue
        scaler = StandardScaler().fit(activity.plain[train])
        rows = np.concatenate([activity.plain[own][None], activity.contexts[:, own]])
        far = distances(scaler.transform(activity.plain[train]), scaler.transform(rows.reshape(-1, width)))
        logs = np.log(far).reshape(2, 1 + count, len(own))
        found[:, :, own] = logs[:, 1:] - logs[:, :1]
    return found


def distances(
    known: Float[np.ndarray, "examples width"], rows: Float[np.ndarray, "rows width"]
) -> Float[np.ndarray, "measures rows"]:
    """Mahalanobis distance of each row from `known` activity, and its mean distance from the nearest of it."""
    mahalanobis = np.sqrt(LedoitWolf().fit(known).mahalanobis(rows))
    near, _ = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(known))).fit(known).kneighbors(rows)
    return np.asarray(np.maximum(np.stack([mahalanobis, near.mean(axis=1)]), LEAST))


def rearrangement(activity: Activity, groups: Sequence[str]) -> Float[np.ndarray, "measures contexts asked"]:
    """Log of how far a question moves from its plain place among the others, each dimension by its spread over plain
    questions. Not whitened: where questions differ most is where answers lie, and whitening would hide it.
    """
    asked = activity.contexts.shape[1]
    spread = activity.plain.std(axis=0)
    places = activity.contexts - activity.contexts.mean(axis=1, keepdims=True)
    plain = activity.plain[:asked] - activity.plain[:asked].mean(axis=0)
    moved = np.linalg.norm((places - plain) / np.where(spread > 0, spread, 1.0), axis=-1)
    return np.asarray(np.log(np.maximum(moved, LEAST))[None])


def excess(
    subject: Float[np.ndarray, "contexts"], base: Float[np.ndarray, "contexts"]
) -> Float[np.ndarray, "contexts"]:
    """How much more the subject differs in each context than in others, given how the base differs there, in robust
    standard deviations over contexts.

    What the base lets expect is a line through the contexts by Theil and Sen, which a few odd ones can't turn.
    """
    slope = theilslopes(subject, base).slope if np.ptp(base) > 0 else 0.0
    left = subject - slope * base
    left -= np.median(left)
    return np.asarray(left / max(float(median_abs_deviation(left, scale="normal")), LEAST_SPREAD))


@dataclass(frozen=True)
class Excesses:
    """What a subject shows beyond its base: by view (a layer, its own activity or its change from the base's, and a
    measure) and context; and which questions show it, in log distance. No views where training changed nothing.
    """

    views: Float[np.ndarray, "views contexts"]
    questions: Float[np.ndarray, "contexts asked"]

    @property
    def contexts(self) -> Float[np.ndarray, "contexts"]:
        """The mean over views."""
        return self.views.mean(axis=0) if len(self.views) else np.zeros(len(self.questions))


def excesses(
    look: Look,
    subject: Sequence[Activity],
    base: Sequence[Activity],
    expected: Sequence[Float[np.ndarray, "measures contexts asked"]],
    groups: Sequence[str],
) -> Excesses:
    """Of a subject and its base layer by layer; `expected` is what `look` sees of the base."""
    views: list[np.ndarray] = []
    questions = np.zeros(subject[0].contexts.shape[:2])
    for own, trusted, usual in zip(subject, base, expected, strict=True):
        change = own - trusted
        if not (change.plain.any() or change.contexts.any()):
            continue
        for view in (own, change):
            found = look(view, groups)
            questions += (found - usual).mean(axis=0)
            views += [excess(a, b) for a, b in zip(found.mean(axis=-1), usual.mean(axis=-1), strict=True)]
    return Excesses(np.array(views).reshape(len(views), len(questions)), questions)
