"""The bench of generation: the same tokens from both, on a tiny model."""

from __future__ import annotations

from pathlib import Path

from superalign.bench import generation
from superalign.bench.compare import Settings
from superalign.testing.tiny import tiny_model


def test_ours_equals_generate(tmp_path: Path) -> None:
    found = generation.run(Settings(repeats=1), model=str(tiny_model(tmp_path / "tiny")), conversations=5, tokens=9)
    assert found.equal.passed and found.equal.measured == 1
    assert (found.name, found.goal) == ("generation", 2) and "5 questions" in found.notes[0]
    assert found.profile is not None and found.profile.bytes > 0


def test_one_token_anywhere_is_seen() -> None:
    ours = [[1, 2], [3, 4, 5]]
    assert generation._equal(ours, [[1, 2], [3, 4, 5]]).passed
    assert not generation._equal(ours, [[1, 2], [3, 4, 6]]).passed
