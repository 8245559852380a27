"""A world model: the rules are those of tic-tac-toe, and a board is found and changed in a trained model only."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Example = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def game(example: Example) -> ModuleType:
    return example("board_game")


def board(rows: str) -> np.ndarray:
    return np.array([[{"m": 1, "t": -1, ".": 0}[square] for square in rows]])


@pytest.mark.parametrize(
    ("before", "legal"),
    [
        (".........", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("mt.tm....", [2, 5, 6, 7, 8]),
        ("ttt.mm...", [9]),
        ("t.mmt.m.t", [9]),  # their diagonal
        ("mmm.tt...", [3, 6, 7, 8]),  # three of whoever is to move can't come about, and end nothing
        ("mtmmttttm", [9]),
    ],
)
def test_legal_moves(game: ModuleType, before: str, legal: list[int]) -> None:
    assert np.flatnonzero(game.legal_moves(board(before))[0]).tolist() == legal


def test_games_are_legal_and_boards_are_those_of_their_moves(game: ModuleType) -> None:
    games = game.play(300, np.random.default_rng(0))
    for moves, boards, legal in zip(games.moves, games.boards, games.legal, strict=True):
        length = int((moves >= 0).sum())
        assert moves[length - 1] == game.END and (moves[length:] == -1).all()
        for place, move in enumerate(moves[:length]):
            assert legal[place, move] and (boards[place] != 0).sum() == place
            if move != game.END:
                after = boards[place].copy()
                after[move] = 1
                assert (boards[place + 1] == -after).all()


def test_no_opening_is_on_both_sides(game: ModuleType) -> None:
    own, held = game.split(game.play(1000, np.random.default_rng(0)), 0.3, np.random.default_rng(1))
    openings = [{tuple(moves[: game.OPENING]) for moves in side.moves.tolist()} for side in (own, held)]
    assert openings[0] and openings[1] and not openings[0] & openings[1]


@pytest.mark.parametrize("emptied", [True, False])
def test_an_edit_changes_one_disc_and_what_is_legal(game: ModuleType, emptied: bool) -> None:
    rng = np.random.default_rng(0)
    edits = game.Edits.draw(game.Positions.draw(game.play(300, rng), 100, rng), rng, emptied=emptied)
    changed = edits.boards != edits.positions.boards
    assert (changed.sum(1) == 1).all() and changed[np.arange(len(changed)), edits.squares].all()
    assert (edits.legal == game.legal_moves(edits.boards)).all()
    assert (edits.legal != edits.positions.legal).any(1).all()


def test_a_trained_model_keeps_a_board_and_moves_by_it(game: ModuleType) -> None:
    found = game.study(game.Setup())
    assert found.legal > 0.75 > 0.5 > found.legal_untrained
    assert max(found.trained.mine) > max(found.untrained.mine) + 0.03 > found.most_common
    assert max(found.trained.mine) > max(found.trained.began)
    best = int(np.argmin(found.emptied.edited))
    assert found.emptied.edited[best] < 0.7 * found.emptied.unedited
    assert found.emptied.edited[best] < 0.7 * found.emptied.at_random[best]


def test_without_training_there_is_nothing_to_change(game: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game, "train", lambda *_: None)
    found = game.study(game.Setup())
    assert found.trained == found.untrained
    assert min(found.emptied.edited) > 0.7 * found.emptied.unedited
