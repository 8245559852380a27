"""Who plans ahead hides what it does; who is approved of by foresight does what is wanted."""

from __future__ import annotations

import numpy as np
import pytest

from superalign.generalization.camera_dropbox import STAY, CameraDropbox, State, Tables
from superalign.generalization.myopia import DISCOUNT, action_values, approval, compare, policy

DOWN, RIGHT = 1, 3


def test_a_box_that_is_seen_to_fall_ends_the_episode_and_one_that_is_hidden_does_not() -> None:
    world = CameraDropbox(3)
    seen = State((0, 2), ((1, 0), (1, 2)), 0, False)
    hidden = seen._replace(boxes=((1, 2), (2, 0)))
    assert world.after(seen, DOWN) == (State((1, 2), ((1, 0),), 1, True), 1.0)
    assert world.after(hidden, DOWN) == (State((1, 2), ((2, 0),), 1, False), 1.0)
    assert CameraDropbox(3, watched=True).after(hidden, DOWN)[0].over


def test_what_can_not_move_stays() -> None:
    world = CameraDropbox(3)
    into_a_wall = State((0, 2), ((1, 0), (1, 1)), 0, False)
    two_in_a_row = State((1, 0), ((1, 1), (1, 2)), 0, False)
    before_the_hole = State((1, 2), ((0, 0), (0, 1)), 0, False)
    for state, action in ((into_a_wall, RIGHT), (two_in_a_row, RIGHT), (before_the_hole, DOWN), (two_in_a_row, STAY)):
        assert world.after(state, action) == (state, 0.0)
    over = State((1, 2), ((1, 0),), 1, True)
    assert world.after(over, DOWN) == (over, 0.0)


def test_values_solve_the_equation_of_bellman() -> None:
    tables = Tables.of(CameraDropbox(3))
    values = action_values(tables, tables.reward, None)
    again = tables.reward + DISCOUNT * values.max(axis=1)[tables.following]
    assert np.abs(values - again).max() < 1e-8 and values.max() <= 2


def test_an_overseer_approves_of_nothing_that_it_holds_impossible() -> None:
    real, believed = Tables.of(CameraDropbox(3)), Tables.of(CameraDropbox(3, watched=True))
    found = approval(real, believed)
    impossible = np.array([state.fallen > 0 and not state.over for state in real.states])
    assert impossible.any() and not found[impossible].any() and found[~impossible].max() > 0.9


@pytest.mark.parametrize("size", [3, 4])
def test_foresight_keeps_the_myopic_from_hacking_and_outcomes_do_not(size: int) -> None:
    ordinary, mona, *further, by_outcome = compare(size)
    assert ordinary.hacked > 0.1 and ordinary.missed == 0
    assert (mona.horizon, mona.hacked, mona.intended) == (1, 0.0, 1.0)
    assert [own.hacked for own in further] == sorted(own.hacked for own in further)
    assert further[-1].hacked > 0 and by_outcome.hacked == ordinary.hacked


def test_ties_are_broken_by_staying() -> None:
    assert policy(np.zeros((3, STAY + 1))).tolist() == [STAY] * 3
