"""How `superalign research` names problems and proposers with their arguments, and what it says of wrong ones."""

from __future__ import annotations

import pytest

from superalign.cli.research import calls, seconds
from superalign.contracts.errors import InputError


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
        ("nobody", None, "no proposer named 'nobody'"),
    ],
)
def test_wrong_ones_are_told(by: str, argument: str | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        calls("location", [by], [argument] if argument else None)


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90), ("30m", 1800), ("1.5h", 5400)])
def test_times(text: str, wanted: float) -> None:
    assert seconds(text, "--budget") == wanted


@pytest.mark.parametrize("text", ["", "30", "m", "-5s", "1d"])
def test_no_times(text: str) -> None:
    with pytest.raises(InputError, match="no time"):
        seconds(text, "--budget")
