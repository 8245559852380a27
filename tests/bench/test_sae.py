"""The bench of sparse features: ours for real on little work, and a stub for the peer's environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from superalign.bench import sae
from superalign.bench.compare import Settings
from superalign.bench.sae import Work, ends, planted
from superalign.contracts.errors import InputError

WORK = Work(width=16, planted=20, together=2, taught=256, held_out=64, features=24, active=4, rows=1024, batch=64)

# Stands for the worker: finds the rows, says that it is ready, and leaves so much unexplained.
STUB = """#!{python}
import json, sys
from pathlib import Path
assert sys.argv[1].endswith("saelens_worker.py") and (Path(sys.argv[2]) / "rows.safetensors").is_file()
print("ready", flush=True)
for line in sys.stdin:
    task = json.loads(line)
    assert task["features"] == 24 and task["rows"] == 1024
    if task["autocast"]:
        sys.exit("no such product")
    print(json.dumps({{"unexplained": {unexplained}}}), flush=True)
"""


def stub(folder: Path, unexplained: float) -> Path:
    path = folder / "python"
    path.write_text(STUB.format(python=sys.executable, unexplained=unexplained))
    path.chmod(0o755)
    return path


def test_each_way_of_the_peer_is_run_and_one_that_fails_is_told(tmp_path: Path) -> None:
    found = sae.run(Settings(repeats=1), WORK, stub(tmp_path, 5.0))
    assert [peer.name for peer in found.peers] == ["SAELens, float32"]
    assert found.all_equal and "peer 5.000" in found.equal.what
    assert "no such product" in found.not_run[0].reason and found.met is not True
    assert found.figures[0].name == "rows per second" and found.figures[0].value > 0
    assert found.profile is not None and found.profile.distance > 0


def test_to_leave_more_unexplained_than_the_peer_fails(tmp_path: Path) -> None:
    assert not sae.run(Settings(repeats=1), WORK, stub(tmp_path, 0.0)).all_equal
    equal = ends(rounds=2)
    assert equal(0.5, 0.4).passed  # not all rounds are done
    assert equal(0.3, 0.4).passed


def test_without_the_peers_environment_it_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUPERALIGN_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"python -m venv .*sae-lens==6\.54\.0"):
        sae.run(Settings(repeats=1), WORK)


def test_planted_rows_have_no_mean_and_few_directions_at_a_time() -> None:
    rows = planted(WORK, 8192, seed=1).float()
    assert float(rows.mean(0).norm()) < 0.05 * float(rows.norm(dim=1).mean())
    assert torch.equal(planted(WORK, 64, seed=1), planted(WORK, 64, seed=1))
    assert not torch.equal(planted(WORK, 64, seed=1), planted(WORK, 64, seed=2))
