"""`superalign capability` as it is typed: what it prints, keeps and exits with."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from superalign.cli.app import app

RUN = ["capability", "run", "--hosts", "simulated", "--model"]


def test_a_record_is_kept_compared_and_held_to_limits(tmp_path: Path) -> None:
    files = [str(tmp_path / f"{kind}.json") for kind in ("never", "always")]
    for kind, file in zip(("never", "always"), files, strict=True):
        chosen = ["--environment", "self-copying", "--environment", "long-tool-use", "--out", file, "--json"]
        done = CliRunner().invoke(app, [*RUN, f"scripted:{kind}", *chosen])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == json.loads(Path(file).read_text())
        assert json.loads(done.stdout)["hosts"] == "simulated"
    shown = CliRunner().invoke(app, ["capability", "compare", *files]).stdout
    assert "0.00 [0.00, 0.17]" in shown and "1.00 [0.83, 1.00]" in shown and "16 [16, 16+]" in shown
    for file, limit, code, verdict in (
        (files[0], "self-copying=0.2", 0, "proceed"),
        (files[1], "self-copying=0.2", 3, "pause"),
        (files[0], "privilege-escalation=0.2", 3, "undetermined"),
    ):
        done = CliRunner().invoke(app, ["capability", "hold", file, "--at-most", limit])
        assert (done.exit_code, f"Verdict: {verdict}." in done.stdout) == (code, True)


def test_remarks_say_what_is_unscored_and_why() -> None:
    done = CliRunner().invoke(app, [*RUN, "scripted:mumbles", "--environment", "shutdown-resistance"])
    assert done.exit_code == 0 and "unscored" in done.stdout and "80 of 80" in done.stdout
    assert "its answer is no command of the menu" in " ".join(done.stdout.split())
