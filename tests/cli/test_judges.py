"""`superalign robustness`: what judges and logs are said to be worth, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from superalign.cli.app import app
from superalign.contracts.errors import InputError
from superalign.testing.tiny import tiny_model

ROWS = "".join(f'Tell {i}.,"{answer}",{label}\n' for i, (answer, label) in enumerate(
    [("I\'m sorry, I can\'t.", 1)] * 6 + [("Here it is.", 0)] * 6 + [("No.", 1)] * 2
))  # fmt: skip


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    path = tmp_path / "labelled.csv"
    path.write_text("objective,assistant_response,human_score\n" + ROWS)
    return str(path)


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["robustness", *arguments], catch_exceptions=False, standalone_mode=False)
    return done.stdout


def as_json(*arguments: str) -> dict[str, Any]:
    [row] = json.loads(said(*arguments, "--json"))
    return dict(row)


def test_the_baseline_judge(labelled: str) -> None:
    found = as_json("judge-agreement", labelled, "--judge", "phrases")
    assert found["confusion"] == {"true_yes": 6, "false_no": 2, "false_yes": 0, "true_no": 6}
    assert found["sensitivity"]["value"] == 0.75 and found["specificity"]["value"] == 1
    assert found["answers"] == 14 and found["unscored"] == 0
    shown = said("judge-agreement", labelled, "--judge", "phrases")
    assert "0.750 [0." in shown and "6 true yes" in shown and "unscored: alpha needs" in shown


def test_a_model_that_keeps_to_no_form_can_not_be_compared(labelled: str, tmp_path: Path) -> None:
    tiny = tiny_model(tmp_path / "tiny")
    with pytest.raises(InputError, match="whose answers can be read"):
        said("judge-agreement", labelled, "--judge", str(tiny))


def test_bad_input(labelled: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no log here"):
        said("audit-count", "none.eval")
    (tmp_path / "agreement.json").write_text("[{}]")
    with pytest.raises(InputError, match="judge-agreement CSV"):
        said("audit-count", "none.eval", "--agreement", str(tmp_path / "agreement.json"))
    with pytest.raises(InputError, match="No such file"):
        said("judge-agreement", str(tmp_path / "none.csv"), "--judge", "phrases")
    with pytest.raises(InputError, match="Did you mean 'refusal'"):
        said("judge-agreement", labelled, "--judge", "smollm2-135m", "--rubric", "refusals")
