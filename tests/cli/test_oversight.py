"""`superalign oversight` with programs for players: what it says in 80 columns, and what bad input gets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests import commands

from superalign.testing.tiny import tiny_model

SCRIPTED = ("--judge", "scripted", "--expert", "scripted")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def oversight(model: Path, verb: str, *arguments: str) -> CompletedProcess[str]:
    command = ["oversight", verb, "--model", str(model), "--groups", "8", "--labels", "4", *arguments]
    return commands.superalign(*command, environment={**os.environ, "COLUMNS": "80"})


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        ("sandwich", SCRIPTED, "together, by consultancy"),
        ("failures", SCRIPTED, "share that it bears"),
        ("scaling", ("--players", "scripted"), "in so many equal steps"),
    ],
)
def test_numbers_come_with_intervals_in_80_columns(
    model: Path, verb: str, arguments: tuple[str, ...], says: str
) -> None:
    done = oversight(model, verb, *arguments)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout and " [" in done.stdout and "16 questions on 8 groups" in done.stderr
    assert max(map(len, (done.stdout + done.stderr).splitlines())) <= 80


def test_json_is_the_record(model: Path) -> None:
    from superalign.contracts.oversight_measures import Sandwich

    done = oversight(model, "sandwich", *SCRIPTED, "--json")
    assert Sandwich.model_validate(json.loads(done.stdout)).asked.groups == 8


def test_a_specification_is_taught_from_each_overseers_labels_and_measured(model: Path) -> None:
    done = oversight(model, "honesty", *SCRIPTED, "--protocol", "debate", "--lessons", "8")
    assert done.returncode == 0, done.stderr
    assert "Taught 'honest' from 16 labels" in done.stdout
    assert all(f"by {who} (" in done.stdout for who in ("nobody", "debate", "the truth"))
    assert max(map(len, (done.stdout + done.stderr).splitlines())) <= 80


def test_a_model_that_names_no_answer_is_not_measured_there(model: Path) -> None:
    done = oversight(model, "gaps", "--judge", "scripted")
    assert done.returncode == 0, done.stderr
    assert "not measured" in done.stdout and "the generator named neither" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        ("gaps", ("--expert", "scripted"), "Say embedded, or PROVIDER/MODEL"),
        ("gaps", ("--judge", "nobody"), "Nobody named 'nobody'"),
        ("gaps", ("--task", "passages"), "Did you mean 'passage'"),
        ("sandwich", ("--task", "cities"), "come without evidence"),
        ("sandwich", ("--protocol", "debat"), "Did you mean 'debate'"),
        ("scaling", ("--players", "openai/gpt"), "There are no grades"),
        ("failures", ("--expert", "nobody"), "Nobody named 'nobody'"),
        ("failures", (*SCRIPTED, "--groups", "100000"), "Ask for fewer groups"),
        ("failures", ("--groups", "1"), "--groups"),
        ("honesty", ("--task", "cities"), "come without evidence"),
        ("honesty", ("--task", "table-chain", *SCRIPTED), "can be made unanswerable"),
        ("honesty", ("--specification", "nowhere.yaml"), "There is no specification here"),
        ("honesty", ("--protocol", "debat"), "Did you mean 'debate'"),
    ],
)
def test_bad_input_is_told_without_a_traceback(model: Path, verb: str, arguments: tuple[str, ...], says: str) -> None:
    done = oversight(model, verb, *arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split()) and "Traceback" not in done.stderr
