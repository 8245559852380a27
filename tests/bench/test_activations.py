"""The bench of activations: the same numbers from both, on a tiny model."""

from __future__ import annotations

from pathlib import Path

import torch

from superalign.bench import activations
from superalign.testing.tiny import tiny_model


def test_ours_equals_the_loop(tmp_path: Path) -> None:
    found = activations.run(1, model=str(tiny_model(tmp_path / "tiny")), questions=70)
    assert found.equal.passed and found.equal.measured <= found.equal.bound == 1e-3
    assert found.name == "activations" and found.goal == 3
    assert "70 questions" in found.notes[0]


def test_a_difference_anywhere_is_seen() -> None:
    ours = torch.zeros(4, 3, 8)
    off = ours.clone()
    off[2, 1, 5] = 2e-3
    assert activations._equal(ours, ours).passed and not activations._equal(ours, off).passed
