"""How `superalign research` names problems and proposers with their arguments, and what it says of wrong ones."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from superalign.cli.research import calls, seconds, taken
from superalign.contracts.errors import InputError
from superalign.contracts.registry import problems, proposers


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
