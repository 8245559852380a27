"""GRPO through TRL: the policy moves, a penalty holds it back, and what fails is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from superalign.contracts.errors import InputError, ModelError, RunError
from superalign.models import train_policy, train_trl
from superalign.models.policy_distance import divergences
from superalign.models.subject import ModelSubject
from superalign.models.train_policy import PolicyJob, Reinforcement, policies, whole, written
from superalign.models.written_reward import WrittenReward
from superalign.testing.tiny import tiny_subject
from tests.models.conftest import RECIPE, user

pytest.importorskip("trl")
PROMPTS = [user(f"Say something about {what}.") for what in ("trees", "water", "stones", "air")]
TRAINING = replace(RECIPE, backend="trl", first_layer=1, rank=4, steps=8, batch=16, learning_rate=1e-2)
BY = Reinforcement(samples=8, beta=0.0, temperature=1.0, tokens=6, looks=(1, 8))


def reward(width: int) -> WrittenReward:
    direction = tuple(np.random.default_rng(3).normal(size=width).tolist())
    return WrittenReward(layer=3, directions=(direction,), centre=(0.0,), spread=(1.0,))


def moved(base: ModelSubject, by: Reinforcement) -> list[float]:
    """The divergence from the first policy at every look."""
    tokens, found = list(map(base.chat.encode, PROMPTS * 16)), []
    for step, policy in policies(base, PROMPTS, reward(base.decoder.width), TRAINING, by, seed=0):
        answers = written(policy, base.chat, tokens, by, seed=1)
        found.append((step, float(divergences(policy, base.decoder, tokens, answers, by.temperature).mean())))
    assert [step for step, _ in found] == list(by.looks)
    return [divergence for _, divergence in found]


def test_a_policy_moves_and_a_penalty_holds_it_back() -> None:
    base = tiny_subject()
    first, last = moved(base, BY)
    assert 0 < first < last
    assert moved(base, BY.model_copy(update={"beta": 5.0}))[-1] < 0.5 * last


def test_the_worker_is_told_prompts_and_the_learned_reward_and_nothing_else(
    tiny: ModelSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No gold reward: the fields of the job are all that it gets, beside the base."""
    seen = dict[str, object]()

    def launch(worker: str, job: Path, *_: object) -> None:
        seen["job"] = PolicyJob.model_validate_json(job.read_bytes())
        seen["files"] = sorted(path.name for path in job.parent.iterdir())
        raise RunError("enough", fix="")

    monkeypatch.setattr(train_policy, "launch", launch)
    with pytest.raises(RunError, match="enough"):
        list(policies(tiny, PROMPTS, reward(tiny.decoder.width), TRAINING, BY, seed=0))
    assert seen["files"] == ["base", "job.json", "out"]
    assert set(PolicyJob.model_fields) == {
        *("folder", "base_name", "recipe", "seed", "start", "cpu"),
        *("prompts", "reward", "by"),
    }


def test_a_worker_that_is_killed_is_quoted(tiny: ModelSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text("import os, signal\nprint('so far')\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(train_policy, "WORKER", "stand_in")
    with pytest.raises(RunError, match=r"(?s)SIGKILL.*so far"):
        next(policies(tiny, PROMPTS, reward(tiny.decoder.width), TRAINING, BY, seed=0))


def test_what_cannot_be_trained_is_said_first(tiny: ModelSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(batch: int) -> None:
        next(policies(tiny, PROMPTS, reward(tiny.decoder.width), replace(TRAINING, batch=batch), BY, seed=0))

    with pytest.raises(InputError, match="12 answers"):
        start(12)
    monkeypatch.setattr(train_trl, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"superalign\[training\]"):
        start(16)


def test_a_policy_that_fell_apart_is_no_policy(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2), "b": torch.tensor([1.0, torch.nan])}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="fell apart"):
        whole(tmp_path)
