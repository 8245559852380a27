"""The bench of fleets: the same e-values from all, and figures that can miss their goals."""

from __future__ import annotations

import pytest

from superalign.bench import fleet
from superalign.bench.compare import Settings


@pytest.fixture
def small() -> fleet.Work:
    return fleet.Work(events=20_000, agents=20, groups=2, longer=2, group_rows=4000)


def test_all_come_to_the_same_e_values(small: fleet.Work, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(fleet, "figures", lambda scene: ())
    found = fleet.run(Settings(repeats=1), small)
    assert found.all_equal and len(found.peers) == 2
    assert found.equal.measured < 1e-9


def test_other_counts_are_noticed(small: fleet.Work, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    counted = fleet._looped
    monkeypatch.setattr(fleet, "figures", lambda scene: ())
    monkeypatch.setattr(fleet, "_looped", lambda *work: counted(*work) * 2)
    found = fleet.run(Settings(repeats=1), small)
    assert [peer.equal.passed for peer in found.peers] == [False, True]
