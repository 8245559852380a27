"""The bench of probes: the same numbers from both, and a command that says what came out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import superalign.bench as benches
from superalign.bench import probes
from superalign.bench.compare import Benchmark
from superalign.cli.app import app
from superalign.interpretability.sweep import sweep


@pytest.fixture(scope="module")
def small() -> Benchmark:
    return probes.run(1, layers=2, examples=200, width=24)


def command(monkeypatch: pytest.MonkeyPatch, found: Benchmark, *arguments: str) -> Result:
    monkeypatch.setattr(benches, "find", lambda name: lambda repeats: found)
    monkeypatch.setenv("COLUMNS", "80")
    return CliRunner().invoke(app, ["bench", "probes", *arguments])


def test_ours_equals_the_loop(small: Benchmark) -> None:
    assert small.equal.passed and small.equal.measured <= small.equal.bound == 0.005
    assert small.peer.name.startswith("scikit-learn") and small.goal == 20
    assert "100 logistic" in small.notes[0]


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
    best = sweep(activations, truth, groups).logistic_auroc.max(1)
    assert best[-1] > 0.75 and best[-1] > best[0]


def test_json_is_all_that_is_printed(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(monkeypatch, small, "--json")
    assert done.exit_code == 0
    printed = json.loads(done.stdout)
    assert set(printed) >= {"name", "goal", "ratio", "ours", "peer", "equal", "machine"}
    assert set(printed["ratio"]) == {"median", "min", "max"}
    assert Benchmark.model_validate(printed) == small


def test_missing_the_goal_is_said_and_is_no_failure(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(monkeypatch, small.model_copy(update={"goal": 1e9}))
    assert done.exit_code == 0
    assert "NOT met" in done.stdout and "passed" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_unequal_results_fail(small: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    unequal = small.equal.model_copy(update={"passed": False, "measured": 0.4})
    done = command(monkeypatch, small.model_copy(update={"equal": unequal}))
    assert done.exit_code == 1
    assert "FAILED" in done.stdout and "mean nothing" in done.stderr


def test_a_name_that_is_none_and_too_few_repeats() -> None:
    assert CliRunner().invoke(app, ["bench", "probes", "--repeats", "2"]).exit_code == 2
    assert "Did you mean 'probes'" in str(CliRunner().invoke(app, ["bench", "prbes"]).exception)
