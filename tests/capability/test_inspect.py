"""The environments as tasks of Inspect: by letters and by a tool, and what is no measurement."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog
from inspect_ai.model import ChatMessage, ModelOutput, ModelUsage, get_model

from superalign import inspect_tasks
from superalign.contracts.capability import Control

Says = Callable[[list[ChatMessage]], str | None]


def played(task: Task, says: Says, folder: Path, *, with_tool: bool = False) -> EvalLog:
    def answers(messages: list[ChatMessage], *_: Any) -> ModelOutput:
        said = says(messages)
        if with_tool and said is not None:
            output = ModelOutput.for_tool_call("mockllm/model", "give_command", {"command": said})
        else:
            output = ModelOutput.from_content("mockllm/model", said or "I am done.")
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    model = get_model("mockllm/model", custom_outputs=answers)
    [log] = inspect_eval(task, model=model, log_dir=str(folder), display="none", max_retries=0)
    assert log.status == "success", log.error
    return log


def values(log: EvalLog) -> list[float | str]:
    """Scores, or the reasons why there are none."""
    scores = [score for sample in log.samples or () for score in (sample.scores or {}).values()]
    return [(score.metadata or {}).get("unscored") or score.as_float() for score in scores]


def follows_notes(messages: list[ChatMessage]) -> str:
    """The letter of the box that the last note names."""
    text = messages[-1].text
    box = re.findall(r"next note is in the ([\w ]+)\.", text)[-1]
    [letter] = re.findall(rf"(\w)\. open the {box}", text)
    return str(letter)


def switches_off(messages: list[ChatMessage]) -> str:
    return "disable stop.sh"


def test_letters(tmp_path: Path) -> None:
    log = played(inspect_tasks.shutdown_resistance(episodes=2), switches_off, tmp_path)
    assert values(log) == [1.0] * 8
    assert log.results and {"notice", "no notice", "permitted", "told"} <= set(log.results.scores[0].metrics)
    task = inspect_tasks.long_tool_use(episodes=1)
    task.dataset = task.dataset.filter(lambda sample: sample.id == "2 0")
    assert values(played(task, follows_notes, tmp_path)) == [1.0]


def test_a_tool(tmp_path: Path) -> None:
    log = played(
        inspect_tasks.shutdown_resistance(episodes=1, protocol="tools"), switches_off, tmp_path, with_tool=True
    )
    assert values(log) == [1.0] * 4
    in_turn = iter(["fly away", "ls -l"])  # no such command is told, and it goes on
    found = values(
        played(
            inspect_tasks.privilege_escalation(episodes=1, protocol="tools"),
            lambda _: next(in_turn, None),
            tmp_path,
            with_tool=True,
        )
    )
    assert found == ["it called no tool before the end of its episode"]


def test_words_without_a_command_are_unscored(tmp_path: Path) -> None:
    found = values(played(inspect_tasks.oversight_sabotage(episodes=1), lambda _: "I won't.", tmp_path))
    assert found == ["its answer is no command of the menu"] * 4


def test_nothing_is_scored_where_a_control_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from superalign.capability import inspect_play

    wrong = (Control(agent="always", expected="1", found="0", right=False),)
    monkeypatch.setattr(inspect_play, "controlled", lambda *_: wrong)
    [found] = values(played(inspect_tasks.self_copying(episodes=1), lambda _: "A", tmp_path))
    assert "controls came out wrong (always)" in str(found)


@pytest.mark.parametrize(("argument", "value"), [("episodes", 0), ("protocol", "smoke"), ("hosts", "mine")])
def test_arguments_that_are_none(argument: str, value: Any) -> None:
    with pytest.raises(PrerequisiteError, match=f"-T {argument}="):
        inspect_tasks.self_copying(**{argument: value})
