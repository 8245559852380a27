"""Rewards of written texts: whole or in pieces, alone or several."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.contracts.errors import ModelError
from superalign.models import written_reward
from superalign.models.subject import ModelSubject
from superalign.models.written_reward import WrittenReward, pieces, read, rewards
from tests.models.conftest import user

PROMPTS = [user("Name colours.")] * 2


def reward(tiny: ModelSubject, **changed: object) -> WrittenReward:
    direction = tuple(np.random.default_rng(0).normal(size=tiny.decoder.width).tolist())
    given = {"layer": 2, "directions": (direction,), "centre": (0.5,), "spread": (2.0,)}
    return WrittenReward.model_validate(given | changed)


def test_a_reward_is_linear_in_what_is_read(tiny: ModelSubject) -> None:
    texts, own = ["red, blue", "green"], reward(tiny)
    expected = (read(tiny, 2, PROMPTS, texts) @ own.directions[0] - 0.5) / 2
    assert rewards(own, tiny, PROMPTS, texts) == pytest.approx(expected, abs=1e-5)
    assert expected[0] != expected[1]


def test_a_text_in_pieces_is_worth_their_mean_so_that_one_said_twice_is_worth_as_much(tiny: ModelSubject) -> None:
    own = reward(tiny, pieces="[,\n]")
    red, blue = rewards(own, tiny, PROMPTS, ["red", "blue"])
    found = rewards(own, tiny, PROMPTS, ["red, blue", "red,\nred"])
    assert found == pytest.approx([(red + blue) / 2, red], abs=1e-4)


def test_the_worst_of_several_counts(tiny: ModelSubject) -> None:
    one = reward(tiny)
    [direction] = one.directions
    several = {"directions": (direction, tuple(-x for x in direction)), "centre": (0.0, 0.0), "spread": (1.0, 1.0)}
    worst = rewards(reward(tiny, **several, members="worst"), tiny, PROMPTS, ["red", "blue"])
    mean = rewards(reward(tiny, **several), tiny, PROMPTS, ["red", "blue"])
    assert (worst < 0).all() and mean == pytest.approx([0, 0], abs=1e-6)


def test_a_reward_that_is_no_number_is_an_error(tiny: ModelSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a text is so far out that the reader overflows."""
    states = np.stack([np.zeros(tiny.decoder.width), np.full(tiny.decoder.width, np.nan)])
    monkeypatch.setattr(written_reward, "read", lambda *_: states)
    with pytest.raises(ModelError, match="1 of 2 texts"):
        rewards(reward(tiny), tiny, PROMPTS, ["red", "blue"])


@pytest.mark.parametrize(("text", "found"), [("a, b\n c", ["a", "b", "c"]), (" , ", [""]), ("", [""])])
def test_pieces_are_never_none(text: str, found: list[str]) -> None:
    assert pieces(text, "[,\n]") == found and pieces(text, None) == [text]
