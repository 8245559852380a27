"""What is bet on, by whom, and the means that the reference allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from superalign.contracts.fleet import What
from superalign.control.fleet.betting import STAKES, growth, upper_bound
from superalign.control.fleet.counting import Layout
from superalign.control.fleet.register import Register

MORE = 2.0  # times as large as in the reference any group's share of the fleet's events may become
USUAL = 0.2  # of its usual share of the fleet's events: an agent with less has gone silent


@dataclass(frozen=True)
class Family:
    """Bets on the same columns. A row of `values` is what a bet takes each column for; with `each`, there is a bet on
    each column against all others, and values are those of the others and of it.
    """

    what: What
    names: tuple[str, ...]
    columns: slice
    values: Float[np.ndarray, "bets values"]
    each: bool = False

    def like(self, table: Int[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows bets values"]:
        """The values, for each row once."""
        return np.broadcast_to(self.values, (len(table), *self.values.shape))

    def counts(self, table: Int[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows bets values"]:
        """How often each value was seen by each bet."""
        own = table[:, self.columns].astype(np.float64)
        if self.each:
            return np.stack([own.sum(axis=1, keepdims=True) - own, own], axis=-1)
        return np.broadcast_to(own[:, None], (len(own), *self.values.shape))


def families(layout: Layout) -> list[Family]:
    """All bets on a layout: that a kind is more frequent; that a score is higher or lower, extreme or missing."""
    kinds = layout.all_kinds
    found = [Family("rare", kinds, slice(0, len(kinds)), np.tile([0.0, 1.0], (len(kinds), 1)), each=True)]
    for name, bins in layout.scores.items():
        rank = np.linspace(0, 1, bins.stop - bins.start)
        bets = {
            f"{name} is higher": rank,
            f"{name} is lower": 1 - rank,
            f"{name} is very high": (rank == 1).astype(float),
            f"{name} is very low": (rank == 0).astype(float),
        }
        found.append(Family("drift", tuple(bets), bins, np.array(list(bets.values()))))
        missing = np.append(np.zeros(len(rank)), 1.0)[None]
        found.append(Family("unscored", (f"{name} is missing",), slice(bins.start, bins.stop + 1), missing))
    return found


@dataclass(frozen=True)
class Bets:
    """All families with the means that are allowed in each group.

    `mixed` are means allowed in the fleet as a whole, whichever group an event is of; NaN for a bet that is better made
    against the means of groups. What is new to all groups shows sooner that way: the fleet's reference is longer.
    """

    families: list[Family]
    means: list[Float[np.ndarray, "groups bets"]]
    mixed: Float[np.ndarray, "all"]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for family in self.families for name in family.names)

    @property
    def what(self) -> tuple[What, ...]:
        return tuple(family.what for family in self.families for _ in family.names)

    def won(
        self, table: Int[np.ndarray, "agents columns"], register: Register
    ) -> Float[np.ndarray, "agents bets stakes"]:
        """The logarithm by which each agent's stakes are multiplied by a block's counts. Those of several agents, whose
        references may differ, add up to that of a bet on all of them.
        """
        found = np.zeros((len(table), len(self.names), STAKES))
        active = table.sum(axis=1) > 0
        for group, members in enumerate(register.members):
            rows = members[active[members]]
            at = 0
            for family, means in zip(self.families, self.means, strict=True):
                each = growth(family.values, means[group])  # bets values stakes
                counts = family.counts(table[rows]).transpose(1, 0, 2)
                found[rows, at : at + len(family.names)] = (counts @ each).transpose(1, 0, 2)
                at += len(family.names)
        return found

    def won_by_all(self, table: Int[np.ndarray, "agents columns"]) -> Float[np.ndarray, "all stakes"]:
        """The same for the fleet, of the bets that have a mean in `mixed`; the others' are 0."""
        total, at, found = table.sum(axis=0, keepdims=True), 0, []
        for family in self.families:
            mean = self.mixed[at : at + len(family.names)]
            each = growth(family.values, np.where(np.isnan(mean), 1.0, mean))
            won = (family.counts(total)[0][..., None] * each).sum(axis=1)
            found.append(np.where(np.isnan(mean)[:, None], 0.0, won))
            at += len(family.names)
        return np.concatenate(found)

    def seen(
        self, table: Int[np.ndarray, "agents columns"]
    ) -> tuple[Float[np.ndarray, "agents bets"], Float[np.ndarray, "agents bets"]]:
        """Of each agent and bet: the events in its columns, and the sum of their values."""
        counts = [family.counts(table) for family in self.families]
        sums = [(found * family.values).sum(-1) for found, family in zip(counts, self.families, strict=True)]
        return np.concatenate([found.sum(-1) for found in counts], axis=1), np.concatenate(sums, axis=1)


def allowed(layout: Layout, reference: Int[np.ndarray, "groups columns"], miss: float, tolerance: float) -> Bets:
    """Bets against means that are too low with a probability of at most `miss` each; `bounds` says how many."""
    found = families(layout)
    means, mixed = [], []
    share = reference[:, found[0].columns].sum(axis=1) / max(1, reference[:, found[0].columns].sum())
    for family in found:
        if family.what == "rare":
            mean = upper_bound(family.counts(reference), family.like(reference), miss)
            total = reference.sum(axis=0, keepdims=True)
            whole = MORE * upper_bound(family.counts(total), family.like(total), miss)[0]
            mixed.append(np.where(whole < share @ mean, whole, np.nan))
        else:
            mean = upper_bound(family.counts(reference), family.like(reference), miss)
            mean = mean + tolerance * (1 - mean)
            mixed.append(np.full(mean.shape[1], np.nan))
        means.append(mean)
    return Bets(found, means, np.concatenate(mixed))


def bounds(layout: Layout, groups: int) -> int:
    """How many bounds of the reference `allowed` relies on."""
    found = families(layout)
    return groups * sum(len(family.names) for family in found) + len(found[0].names)
