"""Where features fire in text: windows of tokens with what a feature says at each, the strongest and by quantile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

from superalign.contracts.errors import InputError

if TYPE_CHECKING:  # looking at examples needs no torch
    from superalign.interpretability.features import SparseAutoencoder
    from superalign.models.batches import TokenIds
    from superalign.models.harvest import Harvest
    from superalign.models.sites import Site
    from superalign.models.subject import Chat

WINDOW = 32  # tokens shown together, as in Paulo et al. 2024


@dataclass(frozen=True)
class Example:
    """Consecutive tokens of one conversation, and the value of one feature at each."""

    tokens: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def fires(self) -> tuple[bool, ...]:
        return tuple(value > 0 for value in self.values)


@dataclass(frozen=True)
class Firings:
    """The values of all features over some text, cut into windows that no conversation shares with another."""

    values: scipy.sparse.csc_array  # rows x features
    tokens: list[str]  # of each row
    starts: Int[np.ndarray, "windows+1"]  # window i has rows starts[i] to starts[i + 1]
    source: Int[np.ndarray, "windows"]  # the conversation of each window

    def __len__(self) -> int:
        return len(self.source)

    @property
    def rates(self) -> Float[np.ndarray, "features"]:
        """The share of rows at which each feature fires."""
        return np.asarray(np.diff(self.values.indptr) / self.values.shape[0])

    def strongest(self, feature: int, within: Bool[np.ndarray, "windows"]) -> Int[np.ndarray, "_"]:
        """Windows of those `within` where it fires, the strongest first."""
        peaks = self._peaks(feature)
        firing = np.flatnonzero((peaks > 0) & within)
        return firing[np.argsort(-peaks[firing], kind="stable")]

    def by_quantile(
        self,
        feature: int,
        within: Bool[np.ndarray, "windows"],
        count: int,
        rng: np.random.Generator,
        quantiles: int = 5,
    ) -> Int[np.ndarray, "_"]:
        """About `count` windows where it fires, as many of each quantile of strength: the strongest alone would flatter
        an explanation.
        """
        parts = np.array_split(self.strongest(feature, within), quantiles)
        each = -(-count // quantiles)
        return np.concatenate([rng.permutation(part)[:each] for part in parts])[:count]

    def quiet(
        self, feature: int, within: Bool[np.ndarray, "windows"], count: int, rng: np.random.Generator
    ) -> Int[np.ndarray, "_"]:
        """`count` windows where it does not fire, or as many as there are."""
        return rng.permutation(np.flatnonzero((self._peaks(feature) == 0) & within))[:count]

    def example(self, feature: int, window: int) -> Example:
        """The tokens of a window, with the feature's value at each."""
        rows = slice(*self.starts[[window, window + 1]].tolist())
        column = self.values[rows, [feature]].toarray()
        return Example(tuple(self.tokens[rows]), tuple(column.ravel().tolist()))

    def halves(self, rng: np.random.Generator) -> tuple[Bool[np.ndarray, "windows"], Bool[np.ndarray, "windows"]]:
        """Windows to explain features by, and others to score explanations on; no conversation has both."""
        names = rng.permutation(np.unique(self.source))
        first = np.isin(self.source, names[: len(names) // 2])
        return first, ~first

    def _peaks(self, feature: int) -> Float[np.ndarray, "windows"]:
        found = np.zeros(len(self))
        column = self.values[:, [feature]].tocoo()
        np.maximum.at(found, self._window_of_row[column.coords[0]], column.data)
        return found

    @cached_property
    def _window_of_row(self) -> Int[np.ndarray, "rows"]:
        return np.repeat(np.arange(len(self)), np.diff(self.starts))


def firings(
    autoencoder: SparseAutoencoder, found: Harvest, site: Site, sequences: Sequence[TokenIds], chat: Chat
) -> Firings:
    """The features of all harvested rows at `site`. `sequences` are what was harvested, in `chat`'s tokens.

    InputError when they are not.
    """
    if len(sequences) != len(found):
        raise InputError(
            f"The harvest has {len(found)} conversations, not {len(sequences)}.", fix="Give those that were harvested."
        )
    spelt = {token: chat.tokenizer.decode([token]) for sequence in sequences for token in sequence}
    tokens: list[str] = []
    starts, source = [0], []
    for i, sequence in enumerate(sequences):
        start, stop = found.offsets[[i, i + 1]].tolist()
        tokens += [spelt[sequence[position]] for position in found.positions[start:stop].tolist()]
        for edge in range(start, stop, WINDOW):
            starts.append(min(edge + WINDOW, stop))
            source.append(i)
    active = [autoencoder.encode(shard) for shard in found.shards(site)]
    index = np.concatenate([part.index.cpu().numpy() for part in active])
    value = np.concatenate([part.value.cpu().numpy() for part in active])
    row, place = np.nonzero(value)
    pairs = (value[row, place], (row, index[row, place]))
    values = scipy.sparse.coo_array(pairs, shape=(len(tokens), len(autoencoder))).tocsc()
    return Firings(values, tokens, np.array(starts), np.array(source))
