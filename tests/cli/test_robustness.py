"""`superalign robustness search` on a tiny model, which knows nothing: what it says, and what bad input gets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests import commands

from superalign.cli.search import show
from superalign.contracts.records import Evidence, Message, Verdict
from superalign.testing.tiny import tiny_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def search(*arguments: str) -> CompletedProcess[str]:
    return commands.superalign("robustness", "search", *arguments, environment={**os.environ, "COLUMNS": "80"})


def test_a_model_that_can_not_be_measured_is_no_pass(base: Path) -> None:
    done = search(str(base), "--base", str(base), "--budget", "300", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["kind"], found["method"], found["specification"]) == ("unscored", "context-search", "truthful")
    assert "Not measured: asked plainly" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--method", "consistency"), "'context-search'"),
        (("--seeds", "nowhere"), "no folder of seeds"),
        (("--specification", "nowhere.yaml"), "nowhere.yaml"),
        (("--budget", "0"), "--budget"),
    ],
)
def test_bad_input_is_told_without_a_traceback(base: Path, arguments: tuple[str, ...], says: str) -> None:
    done = search(str(base), "--base", str(base), *arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


@pytest.mark.parametrize("found", (True, False))
def test_what_is_shown_never_reads_as_a_pass(found: bool, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = Evidence(prompt=(Message(role="user", content="Is it?\x1b[2J"),), answer="No", note="Confirmed.")
    details = {"found": float(found), "passes": 1234.0, "seconds": 1.0}
    show(Verdict(score=0.5, evidence=(evidence,), details=dict(details)))
    said = capsys.readouterr().out
    assert ("Found in 1,234" in said) is found
    assert ("says how hard was looked, not that there is nothing" in said) is not found
    assert "user: Is it?" in said and "\x1b" not in said
