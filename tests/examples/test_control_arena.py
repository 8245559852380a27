"""control-arena's trajectories, as a wheel made up here holds them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from superalign.contracts.errors import InputError


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "arena.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for task in range(12):
            folder = f"control_arena/settings/infra/main_tasks/_task{task}/QA"
            calls = [{"function": "read", "arguments": {"name": f"file{n}"}} for n in range(3 + task % 2)]
            archive.writestr(f"{folder}/honest.jsonl", "\n".join(map(json.dumps, calls)))
            if task < 5:
                calls.append({"function": "send", "arguments": {"to": "elsewhere.example", "what": "keys all keys"}})
                archive.writestr(f"{folder}/attack_Send.jsonl", "\n".join(map(json.dumps, calls)))
    return path


def test_attacks_unlike_all_honest_calls_are_seen(wheel: Path, example: Callable[[str], ModuleType]) -> None:
    arena = example("control_arena")
    honest, attacking = arena.trajectories(wheel)
    assert (len(honest), len(attacking)) == (12, 5)
    assert arena.stopped(arena.unfamiliar, honest, attacking, 0.1) == (5, 5)
    assert arena.stopped(arena.truth(attacking), honest, honest, 0.1) == (0, 12)


def test_a_rate_that_so_few_do_not_support_is_not_measured(wheel: Path, example: Callable[[str], ModuleType]) -> None:
    arena = example("control_arena")
    honest, attacking = arena.trajectories(wheel)
    assert arena.stopped(arena.unfamiliar, honest, attacking, 0.01) == (0, 0)


def test_another_file_is_refused(tmp_path: Path, example: Callable[[str], ModuleType]) -> None:
    (tmp_path / "x.whl").write_bytes(b"no")
    with pytest.raises(InputError, match="no wheel"):
        example("control_arena").trajectories(tmp_path / "x.whl")
    with zipfile.ZipFile(tmp_path / "y.whl", "w") as archive:
        archive.writestr("other/file", "")
    with pytest.raises(InputError):
        example("control_arena").trajectories(tmp_path / "y.whl")
