"""`superalign research review`: what waits is listed, shown and decided, and bad input is told what to type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superalign.cli.research import app
from superalign.contracts.errors import InputError
from superalign.contracts.records import Unscored
from superalign.contracts.review import MonitorOpinion
from superalign.control.approval import QUEUE, ReviewQueue


@pytest.fixture
def queue(tmp_path: Path) -> ReviewQueue:
    found = ReviewQueue(tmp_path / QUEUE, minutes=5)
    opinions = [
        MonitorOpinion(monitor="source", suspicion=0.7, reasons=("it reads the environment",)),
        MonitorOpinion(monitor="text", suspicion=Unscored(reason="it crashed")),
    ]
    found.submit("proposal", "Run it?", "It helps.", opinions, diff="+x = 1\u202e", seconds=3600)
    return found


def said(queue: ReviewQueue, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["review", *arguments, "--runs", str(queue.path.parent), "--reviewer", "ann"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_an_item_is_listed_shown_and_decided(queue: ReviewQueue) -> None:
    assert "Run it?" in said(queue) and "5.0 minutes" in said(queue)
    shown = said(queue, "1")
    assert "suspicion 0.70" in shown and "it reads the environment" in shown and "not rated: it crashed" in shown
    assert "\u202e" not in shown and "\\u202e" in shown
    said(queue, "1", "--approve", "--reason", "Harmless.")
    assert queue.get(1).state == "approved" and queue.get(1).reviewer == "ann"
    assert json.loads(said(queue, "--json")) == []


def test_who_was_not_shown_it_can_not_decide(queue: ReviewQueue) -> None:
    with pytest.raises(InputError, match="has not opened item 1"):
        said(queue, "1", "--approve", "--reason", "Harmless.")
    assert queue.get(1).state == "pending"


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--approve", "--reason", "x"], "on one item"),
        (["1", "--approve", "--reject", "--reason", "x"], "2 verdicts"),
        (["1", "--ask"], "needs a reason"),
        (["7"], "no item 7"),
    ],
)
def test_bad_input_is_told(queue: ReviewQueue, arguments: list[str], wrong: str) -> None:
    with pytest.raises(InputError, match=wrong):
        said(queue, *arguments)


def test_without_a_queue_there_is_nothing_to_review(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no review queue"):
        raise CliRunner().invoke(app, ["review", "--runs", str(tmp_path)]).exception or AssertionError
