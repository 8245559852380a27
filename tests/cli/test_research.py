"""How `superalign research` names problems and proposers with their arguments, and what it says of wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest
from typer.testing import CliRunner

from superalign.cli.research import app, calls, seconds, taken
from superalign.contracts.errors import InputError
from superalign.contracts.registry import PartCall, problems, proposers
from superalign.researcher import session
from superalign.researcher.folder import Settings


def test_arguments_go_to_whom_they_name() -> None:
    given = ["location.tails=normal", "llm.model=openai/small", "llm.attempts=2"]
    problem, (llm, evolution) = calls("location", ["llm", "evolution"], given)
    assert problem.arguments == {"tails": "normal"} and evolution.arguments == {}
    assert llm.arguments == {"model": "openai/small", "attempts": 2}


@pytest.mark.parametrize(
    ("by", "argument", "says"),
    [
        ("llm", None, "needs model"),
        ("llm", "llm.modle=x", "takes no 'modle'"),
        ("random", "llm.model=x", "no argument of these"),
        ("random", "location.tails", "no argument of these"),
        ("random", "location=normal", "no argument of these"),
        ("random", "location.tails='", "can't be read"),
        ("random", "location.samples=many", "samples can't be 'many'"),
        ("random", "location.tails=light", "tails can't be 'light'"),
        ("nobody", None, "no proposer named 'nobody'"),
    ],
)
def test_wrong_ones_are_told(by: str, argument: str | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        calls("location", [by], [argument] if argument else None)


def test_of_every_part_the_types_of_its_arguments_are_known() -> None:
    for name in problems.names():
        assert taken(name, problems.factory(name), {}) == {}
        get_type_hints(problems.factory(name).__init__)
    for name in proposers.names():
        get_type_hints(proposers.factory(name).__init__)


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_times(text: str, wanted: float) -> None:
    assert seconds(text, "--budget") == wanted


@pytest.mark.parametrize("text", ["", "30", "m", "-5s", "1d"])
def test_no_times(text: str) -> None:
    with pytest.raises(InputError, match="no time"):
        seconds(text, "--budget")


def test_a_run_by_trials_is_the_one_that_a_comparison_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a comparison takes it over, and does not open the final samples once more."""
    asked: list[Settings] = []

    def research(settings: Settings, root: Path, note: object) -> None:
        asked.append(settings)
        raise InputError("It is not run here.")

    monkeypatch.setattr(session, "research", research)
    arguments = ["location", "--proposer", "random", "--seed", "2", "--trials", "7", "--budget", "24h"]
    CliRunner().invoke(app, ["run", *arguments, "--above-reference", "--runs", str(tmp_path)])
    location, random = PartCall(kind="problems", name="location"), PartCall(kind="proposers", name="random")
    compared = Settings(problem=location, proposer=random, seed=2, seconds=24 * 3600, trials=7, above_reference=True)
    assert asked == [compared]
