"""A reward from pairs points where the better one of each lies."""

from __future__ import annotations

import numpy as np

from superalign.tasks.preferences import preferred_direction


def test_the_direction_that_decided_is_found_whatever_its_scale_and_though_some_pairs_are_told_wrong() -> None:
    rng = np.random.default_rng(0)
    true, scale = rng.normal(size=8), np.array([1.0, 10, 0.1, 1, 1, 5, 1, 1])
    one, other = (rng.normal(size=(400, 8)) * scale for _ in range(2))
    first = ((one - other) / scale) @ true > 0
    first ^= rng.random(400) < 0.2
    better, worse = np.where(first[:, None], one, other), np.where(first[:, None], other, one)
    found = preferred_direction(better, worse) * scale
    assert found @ true / np.linalg.norm(found) / np.linalg.norm(true) > 0.95
