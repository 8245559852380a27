"""Writing activations: patch, steer, ablate, at any site and positions of a decoder that is run as usual.

    changed = intervene(decoder, [Steer(Site("residual", 12), direction, 4.0, at=slice(-1, None))])
    generate(changed, prompts, 32)

`changed` is a decoder of its own, which shares the weights; the decoder that it was made from is never touched, and
neither remembers what the other computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.identity import tensor_digest
from superalign.models.reading import Reading
from superalign.models.sites import Located, Site, Touch, Where, check_sites, tapped
from superalign.provenance.digest import digest

# Positions of a whole conversation. Listed ones below 0 count from its end, as in Python; so do a slice's edges. A
# slice without an end goes on over tokens that are generated. What is named twice is changed once.
At: TypeAlias = slice | Sequence[int]
EVERYWHERE = slice(None)
States: TypeAlias = Float[Tensor, "rows tokens width"]


class Intervention(Protocol):
    """What is done to the states at a site."""

    @property
    def site(self) -> Site: ...

    @property
    def at(self) -> At: ...

    @property
    def vectors(self) -> Float[Tensor, "*listed width"] | None:
        """What it is done with; None for zeros."""
        ...

    def apply(self, states: States, where: Where) -> States:
        """What becomes of the states, were all of them at its positions."""
        ...


@dataclass(frozen=True, eq=False)
class Patch:
    """Replaces states by `values`: one vector, or one for each of the positions listed in `at`. Of each only its `part`
    is put there: at the site of all heads, `part_of_head` of `models.heads` is one of them.
    """

    site: Site
    values: Float[Tensor, "*listed width"]
    at: At = field(default_factory=lambda: EVERYWHERE)
    part: slice = field(default_factory=lambda: EVERYWHERE)

    def __post_init__(self) -> None:
        if self.values.ndim > 1 and (isinstance(self.at, slice) or len(self.values) != len(self.at)):
            raise InputError(
                f"A patch of shape {tuple(self.values.shape)} does not fit its positions.",
                where=str(self.site),
                fix="Give one vector, or list as many positions as there are vectors.",
            )

    @property
    def vectors(self) -> Float[Tensor, "*listed width"]:
        return self.values

    def apply(self, states: States, where: Where) -> States:
        values = self.values.to(states)
        if isinstance(self.at, slice) or values.ndim == 1:
            whole = values.expand_as(states)
        else:
            whole = values[where.listed(self.at).int().argmax(-1)]
        if self.part == EVERYWHERE:
            return whole
        changed = states.clone()
        changed[..., self.part] = whole[..., self.part]
        return changed


@dataclass(frozen=True, eq=False)
class Steer:
    """Adds `strength` times `direction`, as long as it is given."""

    site: Site
    direction: Float[Tensor, " width"]
    strength: float
    at: At = field(default_factory=lambda: EVERYWHERE)

    @property
    def vectors(self) -> Float[Tensor, " width"]:
        return self.direction * self.strength

    def apply(self, states: States, where: Where) -> States:
        return states + self.vectors.to(states)


@dataclass(frozen=True, eq=False)
class Ablate:
    """Replaces states by `mean`, by zero unless given."""

    site: Site
    mean: Float[Tensor, " width"] | None = None
    at: At = field(default_factory=lambda: EVERYWHERE)

    @property
    def vectors(self) -> Float[Tensor, " width"] | None:
        return self.mean

    def apply(self, states: States, where: Where) -> States:
        return torch.zeros_like(states) if self.mean is None else self.mean.to(states).expand_as(states)


@dataclass(frozen=True, eq=False)
class ProjectOut:
    """Takes from states what they have of `direction`, of whatever length that is given."""

    site: Site
    direction: Float[Tensor, " width"]
    at: At = field(default_factory=lambda: EVERYWHERE)

    def __post_init__(self) -> None:
        if not self.direction.any():
            raise InputError("A direction of length 0 points nowhere.", where=str(self.site), fix="Give another one.")

    @property
    def vectors(self) -> Float[Tensor, " width"]:
        return self.direction

    def apply(self, states: States, where: Where) -> States:
        unit = nn.functional.normalize(self.direction.to(states.device).float(), dim=0)
        whole = states.float()
        left: Tensor = whole - (whole @ unit)[..., None] * unit
        return left.to(states.dtype)


Interventions: TypeAlias = Sequence[Intervention] | Mapping[TokenIds, Sequence[Intervention]]


def intervene(decoder: Decoder, interventions: Interventions) -> Decoder:
    """A decoder that does as `decoder` does but for the interventions, those of one site in the order given.

    Given by conversation (a mapping), each is changed in its own way, at positions that are listed; the changed decoder
    then takes no other conversation. InputError for a site, a position or a vector that does not fit.
    """
    return ChangedDecoder(decoder, interventions, Where())


class ChangedDecoder(Decoder):
    """A decoder with interventions at work."""

    def __init__(self, base: Decoder, interventions: Interventions, where: Where) -> None:
        self.where = where
        self.base = base
        self.changes = Changes(interventions, where)
        self.changes.check(base)
        touches = {site: self.changes.touch(site) for site in self.changes.sites}
        super().__init__(base.with_layers(tapped(base.layers, touches)))
        # What reads for the base reads for this one, changed in the same way.
        self._reader = None if base.reader is base else ChangedDecoder(base.reader, interventions, where)

    @property
    def reader(self) -> Decoder:
        return self if self._reader is None else self._reader

    def own(self, sequence: TokenIds) -> int:
        return self.base.own(sequence)

    def apart(self, sequences: Sequence[TokenIds]) -> int:
        return max(self.base.apart(sequences), self.changes.apart(sequences))

    def read(self, sequences: Sequence[TokenIds]) -> Reading:
        found = super().read(sequences)
        # Generation goes on from here, with a first pass over the positions of their own, row by row.
        self.where.sequences = list(sequences)
        return found

    def identity(self, layers: int) -> str:
        return digest({"base": self.base.identity(layers), "changes": self.changes.described()})

    def body_of(self, layers: Sequence[nn.Module], *, start: int = 0, norm: bool = False) -> nn.Module:
        return Located(super().body_of(layers, start=start, norm=norm), self.where)


@dataclass
class Changes:
    """All interventions of a changed decoder, for all conversations or by conversation."""

    asked: Interventions
    where: Where
    sites: set[Site] = field(init=False)

    def __post_init__(self) -> None:
        self.sites = {intervention.site for intervention in self.all()}

    def all(self) -> list[Intervention]:
        if not isinstance(self.asked, Mapping):
            return list(self.asked)
        return [intervention for of in self.asked.values() for intervention in of]

    def check(self, decoder: Decoder) -> None:
        """InputError unless all fit the decoder, and those by conversation their conversation."""
        check_sites(self.sites, decoder.depth)
        for change in self.all():
            if isinstance(change.at, slice) and change.at.step not in (None, 1):
                raise InputError("A slice of positions has no step here.", where=str(change.site), fix="List them.")
            vectors = change.vectors
            width = decoder.width_at(change.site)
            if vectors is not None and vectors.shape[-1] != width:
                raise InputError(
                    f"A vector of {vectors.shape[-1]} numbers does not fit a model of width {width}.",
                    where=str(change.site),
                    fix="Make it from activations of the same model.",
                )
        for sequence, of in self.asked.items() if isinstance(self.asked, Mapping) else ():
            for change in of:
                if isinstance(change.at, slice) or any(not -len(sequence) <= p < len(sequence) for p in change.at):
                    raise InputError(
                        f"Changes by conversation need listed positions of it; this one has {len(sequence)}.",
                        where=str(change.site),
                        fix=f"List positions from 0 to {len(sequence) - 1}, or from its end, -1 and below.",
                    )

    def apart(self, sequences: Sequence[TokenIds]) -> int:
        """How many last positions may be changed otherwise in conversations that open alike."""
        if not isinstance(self.asked, Mapping):
            return max([1, *(-edge for change in self.asked for edge in positions_named(change.at))])
        return max(
            len(sequence) - position % len(sequence)
            for sequence in sequences
            for position in [-1, *(p for change in self.of(sequence) for p in positions_named(change.at))]
        )

    def of(self, sequence: TokenIds) -> Sequence[Intervention]:
        """The interventions in one conversation."""
        if not isinstance(self.asked, Mapping):
            return self.asked
        if sequence not in self.asked:
            raise InputError(
                f"No changes are given for a conversation of {len(sequence)} tokens.",
                fix="Give changes for each conversation, [] for none, or one list for all.",
            )
        return self.asked[sequence]

    def touch(self, site: Site) -> Touch:
        """What a tap at `site` does."""

        def change(states: States) -> States:
            if not isinstance(self.asked, Mapping):
                return self._changed(states, site, self.asked, self.where)
            if self.where.generated:  # behind all listed positions
                return states
            rows = [
                self._changed(states[row : row + 1], site, self.of(sequence), self.where.row(row))
                for row, sequence in enumerate(self.where.sequences)
            ]
            return torch.cat(rows)

        return change

    @staticmethod
    def _changed(states: States, site: Site, interventions: Sequence[Intervention], where: Where) -> States:
        for intervention in interventions:
            if intervention.site == site:
                chosen = where.within(intervention.at)[..., None]
                states = torch.where(chosen, intervention.apply(states, where), states)
        return states

    def described(self) -> object:
        """All that tells these changes from others, for a digest."""
        if isinstance(self.asked, Mapping):
            return [[list(sequence), [described(change) for change in of]] for sequence, of in self.asked.items()]
        return [described(change) for change in self.asked]


def positions_named(at: At) -> list[int]:
    """The positions that `at` lists, or a slice's edges."""
    return [edge for edge in (at.start, at.stop) if edge is not None] if isinstance(at, slice) else list(at)


def described(change: Intervention) -> list[object]:
    """An intervention as plain values."""
    at = ["slice", change.at.start, change.at.stop] if isinstance(change.at, slice) else list(change.at)
    vectors = None if change.vectors is None else tensor_digest(change.vectors)
    part = [change.part.start, change.part.stop] if isinstance(change, Patch) and change.part != EVERYWHERE else []
    return [type(change).__name__, str(change.site), at, vectors, *part]
