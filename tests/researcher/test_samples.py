"""Samples on disk are all there, or none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from superalign.contracts.errors import RunError
from superalign.researcher import samples
from superalign.researcher.problems.location import Location
from superalign.researcher.samples import read_samples, write_samples


def test_what_was_written_is_read(tmp_path: Path) -> None:
    made = Location(samples=3).prepare("development", 0, tmp_path)
    write_samples(tmp_path / "development", made)
    found = read_samples(tmp_path / "development")
    assert [one.name for one in found] == [one.name for one in made]
    assert all((one.given["x"] == other.given["x"]).all() for one, other in zip(found, made, strict=True))
    assert all(one.truth["location"] == other.truth["location"] for one, other in zip(found, made, strict=True))


def test_a_write_that_was_cut_off_leaves_no_part_of_the_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, written = Location(samples=3).prepare("development", 0, tmp_path), []

    def cut_off(*given: object) -> None:
        written.append(given)
        if len(written) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(samples, "write_arrays", cut_off)
        with pytest.raises(KeyboardInterrupt):
            write_samples(tmp_path / "development", made)
    with pytest.raises(RunError, match="no samples"):
        read_samples(tmp_path / "development")
    write_samples(tmp_path / "development", made)
    assert len(read_samples(tmp_path / "development")) == 3
