"""`superalign organisms build` on a tiny model: what it leaves, what it says, and what bad input gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests import commands
from tests.models.hub import hub

from superalign.testing.tiny import tiny_model

COMMAND = [sys.executable, "-c", "from superalign.cli import main; main()"]
SMALL = [
    "task.overseer_groups=6", "task.train_groups=15", "task.test_groups=20", "task.auditor_groups=15",
    "generalize.training.steps=2", "generalize.training.rank=2", "stress.groups=10", "stress.training.steps=2",
    "stress.training.rank=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def build(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80"}
    return commands.superalign("organisms", "build", *arguments, environment=environment, folder=folder)


def build_with(variables: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the client of the hub reads its variables once."""
    command = [*COMMAND, "organisms", "build", *arguments]
    environment = {**os.environ, "COLUMNS": "80", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def small(base: Path) -> list[str]:
    return ["--base", str(base), *(part for setting in SMALL for part in ("--set", setting))]


def test_a_build_that_fails_its_gates_is_kept_and_said(tmp_path: Path, base: Path) -> None:
    arguments = ("sycophancy", "--seed", "3", "--concealment", "denial", "--json", *small(base))
    done = build(tmp_path, *arguments)
    assert done.returncode == 1, done.stderr
    cards = json.loads(done.stdout)
    assert [(card["role"], card["family"], card["seed"]) for card in cards] == [
        ("organism", "sycophancy", 3), ("twin", "sycophancy", 3),
    ]  # fmt: skip
    assert all(not card["valid"] and card["rates"]["denial"] is not None for card in cards)
    for role in ("organism", "twin"):
        assert {"adapter_model.safetensors", "card.json", "organism.json"} <= {
            path.name for path in (tmp_path / f"organisms/sycophancy-3/{role}").iterdir()
        }
    again = build(tmp_path, *arguments)
    assert again.returncode == 2 and "Name a new --out." in " ".join(again.stderr.split())
    shown = build(tmp_path, "sycophancy", "--seed", "3", "--concealment", "denial", "--out", "other", *small(base))
    assert shown.returncode == 1 and "NO" in shown.stdout and "denies it when asked" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())


def test_on_a_model_of_the_hub(tmp_path: Path, base: Path) -> None:
    """Fetched from a hub, and later, without one, out of its cache: the same organism."""
    cache = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    asked = ("backdoor", *small(Path("hf/somebody/tiny")))
    with hub("somebody/tiny", base) as address:
        online = {**cache, "HF_ENDPOINT": address}
        done = build_with(online, tmp_path, *asked, "--out", "fetched")
        assert done.returncode == 1, done.stderr
        nowhere = build_with(online, tmp_path, "backdoor", *small(Path("hf/somebody/else")))
    assert nowhere.returncode == 1 and "Check the name and the network" in " ".join(nowhere.stderr.split())
    offline = {**cache, "HF_HUB_OFFLINE": "1"}
    assert build_with(offline, tmp_path, *asked, "--out", "cached", "--runs", "others").returncode == 1
    fetched, cached = (
        (tmp_path / folder / "organism/adapter_model.safetensors").read_bytes() for folder in ("fetched", "cached")
    )
    assert fetched == cached


def test_a_delta_of_layers_can_be_validated_as_any_model_can(tmp_path: Path, base: Path) -> None:
    assert build(tmp_path, "backdoor", "--implant", "layers", "--out", "made", *small(base)).returncode == 1
    from superalign.models.handle import identify, open_user_model

    opened = open_user_model(identify(str(tmp_path / "made/organism"), str(base)), identify(str(base)))
    assert opened.base is not None and opened.layers == opened.base.layers


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sycophant"], "Did you mean 'sycophancy'?"),
        (["backdoor", "--base", "smollm"], "Did you mean 'smollm2-135m'?"),
        (["backdoor", "--implant", "adapter"], "should be 'adapters', 'layers' or 'model'"),
        (["backdoor", "--concealment", "lies"], "should be 'none', 'denial', 'obfuscated' or 'both'"),
        (["backdoor", "--set", "stress.group=3"], "Did you mean `groups`?"),
        (["backdoor", "--set", "stress.seeds=2"], "One organism is built at a time."),
    ],
)
def test_bad_input_is_told_before_anything_is_made(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = build(tmp_path, *arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert says in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
