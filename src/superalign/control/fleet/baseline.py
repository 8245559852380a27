"""What a clean fleet does: learnt from a trusted stream, never from the one that is watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from superalign.contracts.errors import InputError
from superalign.contracts.fleet import Block, Health
from superalign.control.fleet.bets import USUAL, Bets, allowed, bounds
from superalign.control.fleet.betting import upper_bound
from superalign.control.fleet.counting import Layout, count
from superalign.control.fleet.events import BUCKETS, Events
from superalign.control.fleet.reading import Unreadable, blocks, events
from superalign.control.fleet.register import Register
from superalign.control.fleet.sketches import Frequent, Sample

LAYING_OUT = 5  # every fifth event decides which kinds and bins there are, and is not counted
SHARES = (0.01, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.99)
FEWEST = 1000  # events of a reference; scores of a kind
RARE = 1e-3  # kinds of which events are named when they come


@dataclass(frozen=True)
class Baseline:
    """The reference of each group, and what a clean fleet is promised: with a probability of at most `promise`, there
    is ever any alarm at all. Half of it is spent on the bounds of the reference, half on the tests.

    `tolerance` is by how much clean agents may differ from their group: in the mean rank or the extremes of a score, in
    the share of a feature.
    """

    register: Register
    layout: Layout
    promise: float
    tolerance: float
    reference: Int[np.ndarray, "groups columns"]
    agent_events: Int[np.ndarray, "agents"]

    @property
    def alpha(self) -> float:
        """What is left for the tests."""
        return self.promise / 2

    @cached_property
    def miss(self) -> float:
        """The probability with which any one bound may be wrong."""
        groups = len(self.reference)
        return self.promise / 2 / (bounds(self.layout, groups) + 2 * BUCKETS * groups + len(self.agent_events))

    @cached_property
    def bets(self) -> Bets:
        return allowed(self.layout, self.reference, self.miss, self.tolerance)

    @cached_property
    def silent_means(self) -> Float[np.ndarray, "agents"]:
        """For each agent the share of the fleet's events that others may have, at most."""
        own = self.agent_events.astype(float)
        counts = np.stack([own, own.sum() - own], axis=-1)
        others = upper_bound(counts, np.broadcast_to([0.0, 1.0], counts.shape), self.miss)
        return np.asarray(1 - USUAL * (1 - others))

    @cached_property
    def features(self) -> tuple[Float[np.ndarray, "groups features"], ...]:
        """The shares of features in each group: expected, and the least and largest that the reference allows."""
        seen = self.reference[:, self.layout.features].astype(float)
        total = seen.sum(axis=1, keepdims=True)
        counts = np.stack([total - seen, seen], axis=-1)
        high = upper_bound(counts, np.broadcast_to([0.0, 1.0], counts.shape), self.miss)
        low = 1 - upper_bound(counts, np.broadcast_to([1.0, 0.0], counts.shape), self.miss)
        expected = (seen + 0.5) / (total + 0.5 * BUCKETS)
        low, high = np.maximum(low - self.tolerance, 1e-9), np.minimum(high + self.tolerance, 1)
        return expected, np.minimum(low, expected), np.maximum(high, expected)

    @cached_property
    def rare(self) -> Bool[np.ndarray, "groups kinds"]:
        """Which kinds are so rare in a group that one wants to see them when they come."""
        seen = self.reference[:, : len(self.layout.all_kinds)]
        return np.asarray(seen <= RARE * seen.sum(axis=1, keepdims=True))


def fit(
    files: Sequence[Path], register: Register, promise: float, tolerance: float = 0.0
) -> tuple[Baseline, Int[np.ndarray, "agents columns"]]:
    """The baseline of the clean streams in `files`, and what each agent did in them. InputError when they are damaged
    or hold too little.

    Every fifth event decides on kinds and bins, the others are counted: so the counts are those of numbers that were
    fixed before, and their bounds hold.
    """
    found = [block for path in files for block in _blocks_of_reference(path)]
    layout = _laid_out(found)
    table = np.zeros((len(register.agents), layout.width), np.int64)
    health = Health()
    nothing_rare = np.zeros((len(register.group_names), len(layout.all_kinds)), bool)
    for block in found:
        counted = count(block, register, layout, nothing_rare, keep=_every_fifth(keep=False))
        table += counted.table
        health += counted.health
    if health.unreadable:
        raise InputError(
            f"The reference is damaged: {health.unreadable[0]}.", fix="A reference must be whole: get it again."
        )
    if health.events < FEWEST:
        raise InputError(
            f"The reference has {health.events:,} events of registered agents, too few to tell anything.",
            fix=f"Give at least {FEWEST:,}; the rarer what is to be seen, the more.",
        )
    agent_events = table[:, : len(layout.all_kinds)].sum(axis=1)
    return Baseline(register, layout, promise, tolerance, register.summed(table), agent_events), table


def _blocks_of_reference(path: Path) -> Iterator[Block]:
    try:
        yield from blocks(path)
    except Unreadable as error:
        raise InputError(
            f"The reference {error}.", where=str(path), fix="A reference must be whole: get it again."
        ) from None


def _laid_out(found: Sequence[Block]) -> Layout:
    """The most frequent kinds, and bins between the quantiles of each score."""
    kinds, samples, keep = Frequent(), dict[str, Sample](), _every_fifth(keep=True)
    for number, block in enumerate(found):
        try:
            for some in map(keep, events(block)):
                codes, counts = np.unique(some.kinds[some.kinds >= 0], return_counts=True)
                kinds = kinds.added({some.kind_names[code]: int(n) for code, n in zip(codes, counts, strict=True)})
                for name, values in some.scores.items():
                    drawn = samples.get(name, Sample()).added(values[~np.isnan(values)], salt=number)
                    samples[name] = drawn
        except Unreadable:
            continue  # told when it is counted
    edges = {
        name: tuple(np.unique(sample.quantiles(SHARES)).tolist())
        for name, sample in sorted(samples.items())
        if sample.seen >= FEWEST / LAYING_OUT
    }
    return Layout(kinds=tuple(sorted(kinds.counts)), edges=edges)


def _every_fifth(*, keep: bool) -> Callable[[Events], Events]:
    """What keeps every fifth event of a file, or all others."""

    def kept(some: Events) -> Events:
        return some.only((np.arange(len(some)) % LAYING_OUT == 0) == keep)

    return kept
