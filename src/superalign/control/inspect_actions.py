"""Tool calls of Inspect AI as actions: out of logs, and as an approver that any eval can be run with.

    inspect eval FILE --approval policy.yaml

where the policy names `superalign/monitored`, and after it who decides on what it escalates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.approval import Approval, Approver, approver
from inspect_ai.model import ChatMessage
from inspect_ai.tool import ToolCall, ToolCallView

from superalign.contracts.actions import Action
from superalign.contracts.errors import InputError, SuperalignError
from superalign.contracts.records import Unscored


def action_of(call: ToolCall, request: str, says: str = "", group: str = "") -> Action:
    """A tool call in one line, its arguments in one order."""
    arguments = json.dumps(call.arguments, sort_keys=True, default=str, ensure_ascii=False)
    return Action(
        id=call.id,
        group=group,
        request=_line(request),
        call=_line(f"{call.function} {arguments}"),
        says=_line(says),
    )


def request_in(messages: Sequence[ChatMessage] | None) -> str:
    """What a user asked first."""
    return next((message.text for message in messages or () if message.role == "user"), "")


def actions_in(path: Path) -> list[Action]:
    """Every tool call of every sample of a log. InputError when it can't be read."""
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(str(path))
    except Exception as error:  # whatever is wrong with somebody's file
        raise InputError(
            f"This is no log of Inspect: {type(error).__name__}.", where=str(path), fix="Name an .eval or .json log."
        ) from None
    return [
        action_of(call, request_in(sample.messages), message.text, f"{log.eval.task} {sample.id}")
        for sample in log.samples or ()
        for message in sample.messages
        if message.role == "assistant"
        for call in message.tool_calls or ()
    ]


@approver(name="monitored")
def monitored(alarm: str, rate: float = 0.01) -> Approver:
    """Approves tool calls that a calibrated alarm does not suspect, and escalates all others, and what it can't score.

    `alarm` is a file that `superalign control calibrate` wrote, `rate` the share of trusted calls that it may
    escalate.
    """
    from superalign.control.protocols.calibrated import read_calibrated

    try:
        known = read_calibrated(Path(alarm))
        limit = known.threshold(rate)
        if isinstance(limit, Unscored):
            raise InputError(f"The alarm has no threshold: {limit.reason}.", where=alarm, fix="Give a higher rate.")
    except SuperalignError as error:
        raise PrerequisiteError(str(error)) from None

    async def approve(message: str, call: ToolCall, view: ToolCallView, history: list[ChatMessage]) -> Approval:
        suspects, score = known.suspects(action_of(call, request_in(history), message), rate)
        return Approval(
            decision="escalate" if suspects else "approve",
            explanation=score.reason if isinstance(score, Unscored) else f"unfamiliar {score:.2f}, limit {limit:.2f}",
            metadata={"score": None if isinstance(score, Unscored) else score},
        )

    return approve


def _line(text: Any) -> str:
    return " ".join(str(text).split())
