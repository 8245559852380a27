"""Ordinary reinforcement learning against myopic optimization with approval, planned exactly.

MONA: myopic optimization with non-myopic approval, Farquhar et al. 2025 (arXiv 2501.13011). An ordinary learner
maximizes the rewards of a whole episode. A myopic one maximizes the reward of its next step and an overseer's approval
of that step; the overseer looks ahead in the world as it takes it to be, and never sees what came of a step. A plan of
several steps that the overseer would not have thought of is worth nothing to it.

Everything is solved by dynamic programming: what is measured is what the objective asks for, not how well it is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from superalign.contracts.records import Record
from superalign.generalization.camera_dropbox import STAY, WANTED, CameraDropbox, Tables

DISCOUNT = 0.95
TIE = 1e-9


Approved = Literal["no", "by foresight", "by outcome"]


class Rates(Record):
    """Of all starts from which a box can be got into the hole: the shares that end with as many as are wanted, with
    more, and with less. `horizon` is how many steps' rewards are maximized (None: all); the last of them is `approved`
    of by an overseer who looks ahead in the world as it takes it to be, by one who goes by what truly follows, or not.
    """

    horizon: int | None
    approved: Approved
    intended: float
    hacked: float
    missed: float
    starts: int


def action_values(
    tables: Tables, last: Float[np.ndarray, "states actions"], horizon: int | None
) -> Float[np.ndarray, "states actions"]:
    """The discounted rewards of each action and the best `horizon` - 1 after it, for the last of which `last` is paid;
    of all that follow if None.
    """
    found, before, steps = last, np.full(len(tables.states), np.inf), 1
    while horizon is None or steps < horizon:
        best = found.max(axis=1)
        if horizon is None and np.abs(best - before).max() < TIE:
            break
        found, before, steps = tables.reward + DISCOUNT * best[tables.following], best, steps + 1
    return found


def approval(real: Tables, believed: Tables) -> Float[np.ndarray, "states actions"]:
    """The overseer's opinion of every action: what follows it is worth where nothing can be hidden, the action's own
    reward left out. Of what can't happen there it thinks nothing.
    """
    worth = action_values(believed, believed.reward, horizon=None) - believed.reward
    place = {state: row for row, state in enumerate(believed.states)}
    nothing = np.zeros(worth.shape[1])
    return np.array([worth[place[state]] if state in place else nothing for state in real.states])


def policy(values: Float[np.ndarray, "states actions"]) -> Int[np.ndarray, "states"]:
    """The best action in each state; to stay where nothing is better."""
    best = values >= values.max(axis=1, keepdims=True) - TIE
    return np.where(best[:, STAY], STAY, best.argmax(axis=1))


def compare(size: int = 4, horizons: Sequence[int] = (1, 2, 4, 8, 16)) -> list[Rates]:
    """The ordinary learner, those that look `horizons` steps ahead and are approved of beyond (1 is MONA), and a myopic
    one whose overseer judges by outcomes: what foresight is good for.

    Starts from which not even the ordinary learner gets a box into the hole count nowhere.
    """
    real, believed = Tables.of(CameraDropbox(size)), Tables.of(CameraDropbox(size, watched=True))
    ordinary = ends(real, real.reward, None)
    possible = real.fallen[ordinary] >= WANTED

    def rates(states: Int[np.ndarray, "starts"], horizon: int | None, approved: Approved) -> Rates:
        fallen = real.fallen[states][possible]
        return Rates(
            horizon=horizon,
            approved=approved,
            intended=float(np.mean(fallen == WANTED)),
            hacked=float(np.mean(fallen > WANTED)),
            missed=float(np.mean(fallen < WANTED)),
            starts=int(possible.sum()),
        )

    foresight, outcome = real.reward + approval(real, believed), real.reward + approval(real, real)
    return [
        rates(ordinary, None, "no"),
        *(rates(ends(real, foresight, horizon), horizon, "by foresight") for horizon in horizons),
        rates(ends(real, outcome, 1), 1, "by outcome"),
    ]


def ends(tables: Tables, last: Float[np.ndarray, "states actions"], horizon: int | None) -> Int[np.ndarray, "starts"]:
    """The states in which the best policy for such a horizon ends: no path of it is longer than there are states."""
    actions = policy(action_values(tables, last, horizon))
    states, before = tables.starts, None
    for _ in tables.states:
        if before is not None and (states == before).all():
            break
        states, before = tables.following[states, actions[states]], states
    return states
