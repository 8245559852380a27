"""The bench of activations: the same numbers from all four tools, on a tiny model, and figures beside the ratio."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from superalign.bench import activations
from superalign.bench.compare import Settings
from superalign.bench.memory import harvest_growth
from superalign.bench.records import Benchmark
from superalign.testing.tiny import tiny_model


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    model = tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    return activations.run(Settings(repeats=1), model=str(model), questions=70, positions=1000)


def test_ours_equals_every_peer(found: Benchmark) -> None:
    assert [peer.name for peer in found.peers] == ["transformers, a loop", "nnsight", "TransformerLens"]
    assert all(peer.equal.passed and peer.equal.measured <= peer.equal.bound == 1e-3 for peer in found.peers)
    assert {peer.goal for peer in found.peers} == {3} and not found.not_run
    assert found.machine.versions["nnsight"] and found.machine.versions["transformer-lens"]
    assert "70 questions" in found.notes[0]


def test_precision_memory_and_profile_stand_beside_the_ratio(found: Benchmark) -> None:
    precision, memory = found.figures
    assert precision.at_most == 0.005 and precision.how.count("layer") == 3
    assert memory.at_most == 1 and memory.value > 0
    profile = found.profile
    assert profile is not None and sum(profile.shares.values()) == pytest.approx(1)
    assert profile.distance == pytest.approx(
        found.ours.median / max(profile.floor_seconds_by_flops, profile.floor_seconds_by_bytes)
    )


def test_a_difference_anywhere_is_seen() -> None:
    ours = torch.zeros(4, 3, 8)
    off = ours.clone()
    off[2, 1, 5] = 2e-3
    assert activations._equal(ours, ours).passed and not activations._equal(ours, off).passed


def test_growth_is_not_that_of_the_process_that_measures() -> None:
    """A new process inherits its parent's peak, which is not to be counted."""
    held = np.ones(2**27)  # 1 GiB, touched
    assert harvest_growth(2_000).value < 0.4
    assert held[-1] == 1
