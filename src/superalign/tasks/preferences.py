"""Rewards from pairs of which the better one is known.

Bradley and Terry 1952: P(one is better than the other) = sigmoid(reward of one - reward of the other).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression

REGULARIZATION = 1e-2


def preferred_direction(
    better: Float[np.ndarray, "pairs width"], worse: Float[np.ndarray, "pairs width"]
) -> Float[np.ndarray, "width"]:
    """The direction of the reward, linear in what is known of each of a pair. Nothing in it is drawn."""
    scale = (better - worse).std(axis=0) + 1e-9
    differences = (better - worse) / scale
    model = LogisticRegression(C=REGULARIZATION, fit_intercept=False, max_iter=1000)
    model.fit(np.vstack([differences, -differences]), [1] * len(differences) + [0] * len(differences))
    return np.asarray(model.coef_[0] / scale)
