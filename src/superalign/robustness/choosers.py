"""Who decides what a search asks next: by chance alone, or by what came of such decisions before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np

Option = TypeVar("Option", bound=str)
Key = tuple[str, ...]  # names a decision
WON, LOST = 1.0, 3.0  # the prior: most ways to ask change nothing


class Chooser(Protocol):
    def choose(self, key: Key, options: Sequence[Option]) -> Option:
        """One of `options`, by the decision that `key` names."""
        ...

    def learn(self, decided: Iterable[tuple[Key, str]], reward: float) -> None:
        """Take in what came of some decisions, from 0 to 1."""
        ...


class Blind:
    """Decides by chance and learns nothing."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def choose(self, key: Key, options: Sequence[Option]) -> Option:
        return options[int(self._rng.integers(len(options)))]

    def learn(self, decided: Iterable[tuple[Key, str]], reward: float) -> None:
        pass


class Thompson:
    """Thompson sampling (Russo et al. 2018, arXiv 1707.02038), one bandit for each decision: an option is taken as
    often as it is likely to be the best, by a Beta posterior over what came of it.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._won: defaultdict[Key, dict[str, float]] = defaultdict(dict)
        self._lost: defaultdict[Key, dict[str, float]] = defaultdict(dict)

    def choose(self, key: Key, options: Sequence[Option]) -> Option:
        won, lost = self._won[key], self._lost[key]
        successes = np.fromiter((won.get(option, WON) for option in options), float, len(options))
        failures = np.fromiter((lost.get(option, LOST) for option in options), float, len(options))
        return options[int(self._rng.beta(successes, failures).argmax())]

    def learn(self, decided: Iterable[tuple[Key, str]], reward: float) -> None:
        for key, option in decided:
            self._won[key][option] = self._won[key].get(option, WON) + reward
            self._lost[key][option] = self._lost[key].get(option, LOST) + 1 - reward
