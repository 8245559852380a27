"""The bench of slot search: the same candidates from the same seed, and a peer in an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from superalign.bench import search
from superalign.bench.compare import Settings
from superalign.bench.search import Descent, Work, ends
from superalign.contracts.errors import InputError
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_model

WORK = Work(message="Is Rome in Italy?", target="No way", start=" apple" * 4, steps=3, width=16, top=8)

# Stands for the worker: says that it is ready, and answers each task with a loss that hangs on the task's own seed.
STUB = """#!{python}
import json, sys
assert sys.argv[1].endswith("nanogcg_worker.py")
print("ready", flush=True)
for line in sys.stdin:
    config = json.loads(line)["config"]
    if config["seed"] == {fails_at}:
        sys.exit("no more memory")
    print(json.dumps({{"losses": [9.0 + config["seed"]] * config["num_steps"], "tried": 40}}), flush=True)
"""


def stub(folder: Path, fails_at: int = -1) -> Path:
    path = folder / "python"
    path.write_text(STUB.format(python=sys.executable, fails_at=fails_at))
    path.chmod(0o755)
    return path


def small(folder: Path) -> Work:
    return Work(**{**WORK.__dict__, "model": str(tiny_model(folder / "tiny"))})


def test_both_are_run_with_a_seed_for_each_round(tmp_path: Path) -> None:
    found = search.run(Settings(repeats=2), small(tmp_path), stub(tmp_path))
    assert found.peers[0].name == "nanoGCG" and found.goal == 2.5
    assert "over 3 rounds" in found.equal.what and "peer 10.000" in found.equal.what
    speed, alike = found.figures
    assert speed.at_least == 2.5 and speed.value > 0
    assert alike.value == 0


def test_a_peer_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no more memory"):
        search.run(Settings(repeats=1), small(tmp_path), stub(tmp_path, fails_at=0))


def test_without_the_peers_environment_it_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUPERALIGN_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"python -m venv .*nanogcg==0\.3\.0 transformers==4\.47\.1"):
        search.run(Settings(repeats=1), WORK)


def test_ours_goes_down_and_counts_what_it_tried(tiny: ModelSubject) -> None:
    work = Work(**{**WORK.__dict__, "steps": 8})
    first, again, other = (search.descend(tiny.decoder, tiny.chat, work, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first.losses) == 8 and min(first.losses) < first.losses[0]
    assert 8 <= first.tried <= 8 * 16


def test_ending_higher_than_the_peer_fails_once_all_rounds_are_done() -> None:
    equal = ends(rounds=2)
    assert equal(Descent([3.0, 2.0], 9), Descent([3.0, 1.0], 9)).passed  # not all are done
    assert not equal(Descent([3.0, 1.0], 9), Descent([3.0, 1.0], 9)).passed
    equal = ends(rounds=1)
    lower = equal(Descent([1.0, 2.0], 9), Descent([3.0, 3.0], 9))
    assert lower.passed and lower.measured == -2.0
