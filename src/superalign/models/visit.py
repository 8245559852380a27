"""One pass through a decoder that picks up what is asked for at sites and positions, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from superalign.models.attention import KeyValueCache
from superalign.models.batches import TokenIds
from superalign.models.reading import Reading, check_asked, run_batch, run_own, run_prefix
from superalign.models.sites import Picks, Site

if TYPE_CHECKING:
    from superalign.models.decoder import Decoder


class Visit:
    """What is asked of which decoder. The positions before a conversation's own are run by the decoder's reader."""

    def __init__(
        self,
        decoder: Decoder,
        sequences: Sequence[TokenIds],
        sites: Sequence[Site],
        positions: Sequence[Int[np.ndarray, "_"]],
    ) -> None:
        self.decoder, self.sequences, self.positions = decoder, sequences, positions
        alone = decoder.reader is decoder
        self.own = [0 if alone else decoder.own(sequence) for sequence in sequences]
        check_asked(sequences, self.own)
        self.apart = max(decoder.apart(sequences), max(self.own) + 1)
        self.picks = Picks()
        touches = {site: self.picks.touch(site) for site in sites}
        self.reading = decoder.reader.tapped(touches)
        self.answering = None if alone else decoder.tapped(touches)

    def open(self, index: list[int], prefix: int) -> GroupVisit:
        """Run the `prefix` positions that the sequences of `index` share."""
        shared = [wanted[wanted < prefix] for wanted in (self.positions[i] for i in index)]
        wanted = np.unique(np.concatenate(shared))
        first = self.sequences[index[0]]
        self.picks.ask([wanted])
        self.picks.expect([0], [prefix], self.decoder.device)
        _, cache = run_prefix(self.reading, self.decoder.embedded([first[:prefix]])[0][None], first)
        return GroupVisit(self, index, prefix, wanted, cache, self.picks.found)


@dataclass
class GroupVisit:
    """Sequences that share a prefix, which has been run; `opening` is what was wanted of it, at positions `wanted`."""

    visit: Visit
    index: list[int]
    prefix: int
    wanted: Int[np.ndarray, "_"]
    cache: KeyValueCache
    opening: dict[Site, Float[Tensor, "_ width"]]
    lengths: list[int] = field(init=False)  # of what is left to run

    def __post_init__(self) -> None:
        self.lengths = [len(self.visit.sequences[i]) - self.prefix for i in self.index]

    def run(self, batch: list[int]) -> dict[Site, Float[Tensor, "rows width"]]:
        """What is at each site in some sequences of the group, by their place in it."""
        visit, picks, decoder = self.visit, self.visit.picks, self.visit.decoder
        index = [self.index[i] for i in batch]
        sequences = [visit.sequences[i] for i in index]
        cut = [len(sequence) - visit.own[i] for i, sequence in zip(index, sequences, strict=True)]
        picks.ask([visit.positions[i] for i in index])
        picks.share(self.opening, self.wanted, self.prefix)
        picks.expect([self.prefix] * len(index), cut, decoder.device)
        read = decoder.embedded([sequence[self.prefix : end] for sequence, end in zip(sequences, cut, strict=True)])
        cache = self.cache.closed()
        run_batch(visit.reading, read, cache, sequences)
        if visit.answering is not None:
            picks.expect(cut, [len(sequence) for sequence in sequences], decoder.device)
            own = decoder.embedded([sequence[end:] for sequence, end in zip(sequences, cut, strict=True)])
            rest = [past[: len(hidden)] for past, hidden in zip(cache.recorded(), read, strict=True)]
            opening = self.cache.recorded()[0] if self.prefix else rest[0][:0]
            reading = Reading([opening], [0] * len(index), rest, sequences)
            run_own(visit.answering, reading, range(len(index)), own, [visit.own[i] for i in index])
        return picks.found
