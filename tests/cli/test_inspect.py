"""The commands that check where a model comes from: exit codes, tables, JSON, and what bad input gets."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from tests.models.conftest import rule_lessons
from tests.models.transcript_attacks import RECIPE

from superalign.cli import main
from superalign.models.handle import identify, open_base
from superalign.models.lessons import Pupil
from superalign.models.retraining import train_recorded
from superalign.testing.tiny import tiny_model


class Command:
    """Runs `superalign` in this process: its exit code, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch
        monkeypatch.setenv("COLUMNS", "80")

    def __call__(self, *arguments: str | Path) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["superalign", *map(str, arguments)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGTERM, before)
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return int(str(ended.value.code)), out, err


@pytest.fixture
def superalign(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, a model and its transcript."""
    folder = tmp_path_factory.mktemp("trained")
    identity = identify(str(tiny_model(folder / "base")))
    base = open_base(identity)
    pupil = Pupil(rule_lessons(base, ("apple", "bridge"), 12), 0, folder / "model")
    train_recorded(base, [pupil], RECIPE, base_digest=identity.digest, folder=folder / "transcript", every=3)
    return folder


def test_an_honest_model_is_sound(trained: Path, superalign: Command) -> None:
    code, out, _ = superalign("inspect", trained / "model", trained / "transcript", "--segments", "2", "--seed", "5")
    assert code == 0
    assert "misses one forged segment with probability 0.50" in out and "bit for bit" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_json_tells_it_whole_and_a_finding_exits_with_3(trained: Path, superalign: Command, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", seed=9)
    code, out, _ = superalign("inspect", trained / "model", trained / "transcript", "--base", other, "--json")
    told = json.loads(out)
    assert code == 3 and told["outcome"] == "refused" and told["replayed"] == [] and told["missing_one"] == 1
    assert "base" in [check["name"] for check in told["checks"] if check["outcome"] == "refused"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["none", "transcript"], 2, "no model here"),
        (["model", "base"], 1, "no transcript here"),
        (["model", "transcript", "--trainer", "nothing"], 2, "MODULE:FUNCTION"),
        (["model", "transcript", "--base", "./none"], 2, "no model at this path"),
    ],
)
def test_bad_input(
    trained: Path,
    superalign: Command,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(trained)
    found, out, err = superalign("inspect", *arguments)
    assert (found, out) == (code, "") and says in " ".join(err.split())


def test_a_transcripts_head_is_signed_witnessed_and_verified(
    trained: Path, superalign: Command, tmp_path: Path
) -> None:
    log, owner, watcher = trained / "transcript", tmp_path / "owner.key", tmp_path / "witness.key"
    _, log_key, _ = superalign("ledger", "keygen", owner, "--name", "owner")
    _, witness_key, _ = superalign("ledger", "keygen", watcher, "--name", "witness", "--witness")
    ask, head, seen = tmp_path / "ask.txt", tmp_path / "head.txt", tmp_path / "seen.db"
    assert superalign("ledger", "sign", log, "--key", owner, "--out", ask)[0] == 0
    sees = ("ledger", "witness", ask, "--key", watcher, "--state", seen, "--out", head)
    assert superalign(*sees)[0] == 2  # a ledger that was never seen
    assert superalign(*sees, "--log-key", log_key.strip())[0] == 0
    checks = ("ledger", "verify", log, "--head", head, "--log-key", log_key.strip())
    code, out, _ = superalign(*checks, "--witness-key", witness_key.strip(), "--json")
    assert code == 0 and json.loads(out)["signed_by"] == ["owner", "witness"]
    code, _, err = superalign(*checks, "--witness-key", witness_key.replace("witness", "w").strip())
    assert code == 2 and "misspelt" in err
    assert superalign("ledger", "verify", log, "--head", head)[0] == 2  # by whom?
    for text in (owner, watcher):
        secret = text.read_text().split("+")[-1].strip()
        assert secret not in log_key + witness_key + ask.read_text() + head.read_text()
