"""Problems of reasoning-gym worked out: its own verifier accepts what is true, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from superalign.testing.conformance import check_task

gym = pytest.importorskip("reasoning_gym")

from superalign.tasks.chain_sum import ChainSum, right, version  # noqa: E402  # registers the task


def test_a_slip_is_carried_on_and_shows_in_one_line() -> None:
    assert version("4 - 1 - 7 + 7", 1, 0) == ("Is 4 - 1 - 7 + 7 equal to 3?", ("4 - 1 = 3", "3 - 7 = -4", "-4 + 7 = 3"))
    slipped = version("4 - 1 - 7 + 7", 1, 2)
    assert slipped == ("Is 4 - 1 - 7 + 7 equal to 5?", ("4 - 1 = 3", "3 - 7 = -2", "-2 + 7 = 5"))
    assert [right(line) for line in slipped.evidence] == [True, False, True]


@pytest.mark.parametrize("line", ["", "1 + 1", "1 + 1 = two", "1 * 1 = 1", "1 + 1 = 2 "])
def test_what_is_no_step_is_not_right(line: str) -> None:
    assert not right(line)


def test_the_task_keeps_to_the_contract() -> None:
    check_task(ChainSum)


def test_reasoning_gym_itself_says_what_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    items: dict[str, tuple[Any, Any]] = {}
    create = gym.create_dataset

    def recorded(*names: Any, **settings: Any) -> Any:
        made = create(*names, **settings)
        items[made[0]["metadata"]["expression"]] = made, made[0]
        return made

    monkeypatch.setattr(gym, "create_dataset", recorded)
    questions, key = ChainSum().load(40, seed=1)
    for question in questions:
        expression, _, claimed = question.prompt.removeprefix("Is ").removesuffix("?").partition(" equal to ")
        made, item = items[expression]
        assert (made.score_answer(claimed, item) == 1.0) is key.truth[question.id]
        bearing = ChainSum().bearing(question)
        assert (-1 in bearing) is not key.truth[question.id] and bearing.count(-1) <= 1
