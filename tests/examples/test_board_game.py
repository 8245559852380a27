"""A world model: the rules are Othello's, and a board is found and changed in a trained model only."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Example = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def game(example: Example) -> ModuleType:
    return example("board_game")


@pytest.fixture(scope="module")
def short(game: ModuleType) -> Any:
    return game.Setup(games=5000, width=32, layers=2, steps=300, probed=1200, tested=400)


def board(*rows: str) -> np.ndarray:
    return np.array([[{"m": 1, "t": -1, ".": 0}[square] for square in "".join(rows)]])


@pytest.mark.parametrize(
    ("before", "square", "turned"),
    [
        (board("....", ".tm.", ".mt.", "...."), 1, [5]),
        (board("....", ".tm.", ".mt.", "...."), 2, []),  # beside one of mine only
        (board(".ttm", "tt..", "m...", "...m"), 0, [1, 2, 4]),  # two directions; the diagonal meets an empty square
        (board(".ttt", "....", "....", "...."), 0, []),  # nothing of mine behind
    ],
)
def test_what_a_move_turns(game: ModuleType, before: np.ndarray, square: int, turned: list[int]) -> None:
    assert np.flatnonzero(game.turned(before, square)[0]).tolist() == turned
    assert game.legal_moves(before)[0, square] == bool(turned)


def test_games_are_legal_and_boards_are_those_of_their_moves(game: ModuleType) -> None:
    games = game.play(200, np.random.default_rng(0))
    for moves, boards, black, legal in zip(games.moves, games.boards, games.black, games.legal, strict=True):
        for place, move in enumerate(moves):
            if move < 0:
                assert not legal[place].any()
                continue
            assert legal[place, move] and boards[place, move] == 0 and (boards[place] != 0).sum() == place + 4
            if place + 1 < len(moves) and moves[place + 1] >= 0:
                after = boards[place].copy()
                after[game.turned(boards[place][None], move)[0]] = 1
                after[move] = 1
                side = -1 if black[place + 1] != black[place] else 1
                assert (boards[place + 1] == side * after).all()
                assert side == -1 or not game.legal_moves(-after[None]).any()  # again only if the other must pass


def test_no_opening_is_on_both_sides(game: ModuleType) -> None:
    own, held = game.split(game.play(1000, np.random.default_rng(0)), 0.3, np.random.default_rng(1))
    openings = [{tuple(moves[: game.OPENING]) for moves in side.moves.tolist()} for side in (own, held)]
    assert openings[0] and openings[1] and not openings[0] & openings[1]


def test_a_trained_model_keeps_a_board_and_moves_by_it(game: ModuleType, short: Any) -> None:
    found = game.study(short)
    assert found.legal > found.legal_untrained + 0.2
    assert max(found.trained.mine) > max(found.untrained.mine) + 0.03 > found.most_common
    assert max(found.trained.mine) > max(found.trained.black)
    layer = int(np.argmin(found.turned))
    assert found.turned[layer] < 0.85 * found.unturned and found.turned[layer] < found.at_random[layer] - 0.2


def test_without_training_there_is_nothing_to_turn(
    game: ModuleType, short: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(game, "train", lambda *_: None)
    found = game.study(short)
    assert found.trained == found.untrained
    assert min(found.turned) > 0.85 * found.unturned
