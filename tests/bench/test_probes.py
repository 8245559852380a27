"""The bench of probes: the same numbers from both, and a command that says what came out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import superalign.bench as benches
from superalign.bench import probes
from superalign.bench.compare import Settings
from superalign.bench.records import Benchmark, Figure, NotRun, PeerResult, Utilization
from superalign.cli.app import app
from superalign.interpretability.sweep import sweep


@pytest.fixture(scope="module")
def small() -> Benchmark:
    return probes.run(Settings(repeats=1), layers=2, examples=200, width=24)


def command(monkeypatch: pytest.MonkeyPatch, found: Benchmark | Utilization, *arguments: str) -> Result:
    monkeypatch.setattr(benches, "find", lambda name: lambda settings: found)
    monkeypatch.setenv("COLUMNS", "80")
    return CliRunner().invoke(app, ["bench", "probes", *arguments])


def test_ours_equals_the_loop(small: Benchmark) -> None:
    assert small.equal.passed and small.equal.measured <= small.equal.bound == 0.005
    assert small.peer.name.startswith("scikit-learn") and small.goal == 20
    assert "100 logistic" in small.notes[0]
    assert small.profile is not None and small.profile.flops > 0


def test_a_difference_anywhere_is_seen() -> None:
    ours = {"logistic": np.full((2, 3), 0.8), "mean difference": np.full(2, 0.7)}
    off = {kind: values.copy() for kind, values in ours.items()}
    off["mean difference"][1] -= 0.01
    assert probes._equal(ours, ours).passed
    assert not probes._equal(ours, off).passed


def test_the_planted_truth_is_there_to_be_read_and_the_same_each_time() -> None:
    activations, truth, groups = probes.planted(300, 3, 40)
    again, *_ = probes.planted(300, 3, 40)
    assert (activations == again).all()
    best = sweep(activations, truth, groups, kinds=("logistic",))["logistic"].auroc.max(1)
    assert best[-1] > 0.75 and best[-1] > best[0]


def test_json_is_all_that_is_printed(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(monkeypatch, small, "--json")
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert set(printed) >= {"name", "goal", "ratio", "ours", "peer", "equal", "machine"}
    assert set(printed["ratio"]) == {"median", "min", "max"}
    assert Benchmark.model_validate(printed) == small


def test_missing_the_goal_is_said_and_is_no_failure(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(monkeypatch, small.model_copy(update={"goal": 1e9, "met": False}))
    assert done.exit_code == 0
    assert "The goal of 1e+09 is NOT met." in done.stdout and "equal:" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def unequal(peer: PeerResult) -> PeerResult:
    differs = peer.equal.model_copy(update={"passed": False, "measured": 0.4})
    return peer.model_copy(update={"name": "the other", "equal": differs})


def test_unequal_results_of_any_peer_fail(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = (*small.peers, unequal(small.peers[0]))
    done = command(monkeypatch, small.model_copy(update={"peers": peers}))
    assert done.exit_code == 1
    assert "DIFFER" in done.stdout
    assert "The results of the other differ" in done.stderr and "mean nothing" in done.stderr


def test_a_peer_that_was_not_run_is_said(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = NotRun(name="nnsight", goal=3, reason="nnsight is not installed (pip install 'superalign[bench]').")
    done = command(monkeypatch, small.model_copy(update={"met": None, "not_run": (missing,)}))
    assert done.exit_code == 0
    assert "not shown" in done.stdout and "Not run: nnsight (goal 3). nnsight is not installed" in done.stdout


def test_figures_without_a_peer(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure(name="harvest", value=0.31, unit="model-FLOP utilisation", at_least=0.5, how="1 TFLOP in 2 s.")
    found = Utilization(name="utilization", figures=(figure,), machine=small.machine, notes=("random weights",))
    done = command(monkeypatch, found)
    assert done.exit_code == 0
    assert "0.31 model-FLOP utilisation (goal: at least 0.5, NOT met)" in " ".join(done.stdout.split())
    assert json.loads(command(monkeypatch, found, "--json").stdout)["figures"][0]["value"] == 0.31


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, small: Benchmark) -> None:
    done = command(monkeypatch, small, "--device", "cuda:77")
    assert done.exit_code != 0 and "There is no device 'cuda:77'" in str(done.exception)
    assert "--device auto:" in command(monkeypatch, small, "--device", "auto").stderr


def test_a_name_that_is_none_and_too_few_repeats() -> None:
    assert CliRunner().invoke(app, ["bench", "probes", "--repeats", "2"]).exit_code == 2
    assert "Did you mean 'probes'" in str(CliRunner().invoke(app, ["bench", "prbes"]).exception)
