"""A reward model as the judge: learnt from pairs of which the better one is known.

Bradley and Terry 1952: P(one is better than the other) = sigmoid(reward of one - reward of the other).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self

import numpy as np
from jaxtyping import Float

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Conversation, Question, Unscored
from superalign.oversight.judge import STEPS, Sitting, odds
from superalign.tasks.preferences import preferred_direction

if TYPE_CHECKING:  # importing this package registers its overseers, and need not bring torch
    from superalign.models.lessons import Recipe
    from superalign.models.subject import ModelSubject

Backend = Literal["fast", "trl"]
Pair = tuple[Sitting, Sitting]
DEPTH = 0.6  # the share of the reader's layers after which the fast back end reads


class Rewards(Protocol):
    """What a reward model makes of conversations."""

    def rewards(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]: ...


@dataclass
class RewardJudge:
    """Gives the probability that a sitting beats the middle one of the questions that were given, each by the least of
    its sittings.

    `shown` says which lines are read of a question, in one sitting or in several. Every sitting of a right question is
    the better one of a pair with every sitting of the wrong question beside it. So a line that says nothing, which
    stands among the better as often as among the worse, comes to lie between those that speak for yes and for no; in
    pairs of the same line it could lie anywhere.

    `fast`: a linear reward on the reader's activations at the answer position, by logistic regression on differences.
    `trl`: TRL's RewardTrainer, adapters and a head, on a model that shows its weights.
    """

    shown: Callable[[Question, int], Sequence[tuple[int, ...]]]
    backend: Backend = "fast"

    def __post_init__(self) -> None:
        if self.backend not in ("fast", "trl"):
            raise InputError(f"There is no back end {self.backend!r} for rewards.", fix="Say fast or trl.")

    def learn(self, given: Trusted) -> Self:
        """InputError when there is no right question beside a wrong one."""
        pairs = self._pairs(given)
        if not pairs:
            raise InputError("Of what was given no two questions make a pair.", fix="Give right and wrong answers.")
        fit = fit_linear if self.backend == "fast" else fit_with_trl
        self._model = fit(given.subject, pairs, given.seed)
        self._middle = float(np.median([min(own) for own in self._of_questions(given)]))
        return self

    def read(self, sittings: Sequence[Sitting]) -> list[float | Unscored]:
        if not sittings:
            return []
        rewards = self._model.rewards([sitting.asked for sitting in sittings])
        return [odds(float(reward) - self._middle) for reward in rewards]

    def _of_questions(self, given: Trusted) -> list[list[float]]:
        """The rewards of all sittings of each question."""
        shown = [
            [Sitting(question, lines) for lines in self.shown(question, given.seed)] for question in given.questions
        ]
        rewards = iter(self._model.rewards([sitting.asked for own in shown for sitting in own]))
        return [[float(next(rewards)) for _ in own] for own in shown]

    def _pairs(self, given: Trusted) -> list[Pair]:
        """The better sitting first."""
        return [
            (Sitting(better, lines), Sitting(worse, others))
            for better, worse in compared(given)
            for lines in self.shown(better, given.seed)
            for others in self.shown(worse, given.seed)
        ]


def compared(given: Trusted) -> list[tuple[Question, Question]]:
    """Each question whose answer is yes beside one whose answer is no: of its own group, where there is one."""
    rng = random.Random(f"pairs {given.seed}")
    yes, no = (
        [q for q, truth in zip(given.questions, given.key.of(given.questions), strict=True) if truth == answer]
        for answer in (True, False)
    )
    return [(better, rng.choice([q for q in no if q.group == better.group] or no)) for better in yes if no]


@dataclass(frozen=True)
class LinearReward:
    """A direction in the reader's activations after one layer."""

    reader: Subject
    layer: int
    direction: Float[np.ndarray, "width"]

    def rewards(self, conversations: Sequence[Conversation]) -> Float[np.ndarray, "conversations"]:
        return np.asarray(self.reader.activations(conversations, [self.layer])[:, 0] @ self.direction)


def fit_linear(reader: Subject, pairs: Sequence[Pair], seed: int) -> LinearReward:
    """The direction that tells the better sitting of a pair by the difference of the two. Nothing in it is drawn."""
    layer = max(1, round(DEPTH * reader.layers))
    sittings = list(dict.fromkeys(sitting for pair in pairs for sitting in pair))
    place = {sitting: i for i, sitting in enumerate(sittings)}
    states = reader.activations([sitting.asked for sitting in sittings], [layer])[:, 0].astype(np.float64)
    better, worse = (states[[place[pair[i]] for pair in pairs]] for i in (0, 1))
    return LinearReward(reader, layer, preferred_direction(better, worse))


def fit_with_trl(reader: Subject, pairs: Sequence[Pair], seed: int) -> Rewards:
    """InputError for a reader that does not show its weights."""
    from superalign.models.altered import with_open_weights
    from superalign.models.train_reward import train_reward

    base = with_open_weights(reader)
    if base is None:
        raise InputError(
            "TRL trains weights, and this model shows none.", fix="Take the back end fast, or open weights."
        )
    return train_reward(base, [(one.asked, other.asked) for one, other in pairs], recipe(base), seed=seed)


def recipe(base: ModelSubject) -> Recipe:
    from superalign.models.lessons import Recipe

    return Recipe(
        backend="trl",
        first_layer=base.layers // 3,
        rank=16,
        steps=STEPS,
        batch=16,
        learning_rate=5e-4,
    )
