"""Places in a decoder that can be read or written while it runs: the residual stream, what each block adds to it, and
what each attention head reads.

Nothing is hooked onto a model: whoever reads or writes works on a copy of its outer structure, which shares all
weights, and in which the modules at those places are wrapped. The model itself can't be left changed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from superalign.contracts.errors import InputError, ModelError
from superalign.models.batches import TokenIds

Kind = Literal["residual", "attention", "heads", "mlp"]
Touch = Callable[[Float[Tensor, "rows tokens width"]], Float[Tensor, "rows tokens width"]]

BLOCKS: dict[str, tuple[str, ...]] = {"attention": ("self_attn", "attention", "attn"), "mlp": ("mlp",)}
OUT_PROJECTIONS = ("o_proj", "dense", "c_proj")  # of an attention block: what all of its heads go through
# Where a block's output is normalised before it is added, the stream gets what comes out of that norm. (In families
# without the first module named here, the second is none or normalises what goes into the MLP.)
POST_NORMS = (
    ("post_feedforward_layernorm", {"attention": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}),
    ("post_mlp_layernorm", {"attention": "post_self_attn_layernorm", "mlp": "post_mlp_layernorm"}),
)


@dataclass(frozen=True, order=True)
class Site:
    """A place in a decoder. residual k is the stream after k layers, 0 what enters the first; attention k and mlp k are
    what that block of layer k, counted from 1, adds to the stream: residual k - 1 + attention k + mlp k = residual k.
    heads k is what the heads of attention k have read, one after another, before they are projected and added up.
    """

    kind: Kind
    layer: int

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"There is no site {self.kind!r}.", fix=f"Name one of {', '.join(get_args(Kind))}.")

    def __str__(self) -> str:
        return f"{self.kind}-{self.layer}"


def check_sites(sites: Iterable[Site], depth: int) -> None:
    """InputError unless a decoder of `depth` layers has them all."""
    for site in sites:
        first = 0 if site.kind == "residual" else 1
        if not first <= site.layer <= depth:
            raise InputError(f"The model has no {site}.", fix=f"Its {site.kind} goes from {first} to {depth}.")


class Tap(nn.Module):
    """A module whose output goes through `touch`."""

    def __init__(self, module: nn.Module, touch: Touch) -> None:
        super().__init__()
        self.module, self.touch = module, touch

    def forward(self, *arguments: Any, **named: Any) -> Any:
        out = self.module(*arguments, **named)
        return (self.touch(out[0]), *out[1:]) if isinstance(out, tuple) else self.touch(out)


class EntryTap(nn.Module):
    """A module whose input goes through `touch`."""

    def __init__(self, module: nn.Module, touch: Touch) -> None:
        super().__init__()
        self.module, self.touch = module, touch

    def forward(self, hidden: Tensor, *arguments: Any, **named: Any) -> Any:
        return self.module(self.touch(hidden), *arguments, **named)


def tapped(layers: Iterable[nn.Module], touches: Mapping[Site, Touch]) -> list[nn.Module]:
    """The layers of a decoder with a tap at each of these sites."""
    found = list(layers)
    for site, touch in sorted(touches.items()):  # attention and mlp before residual: those lie within the layer
        if site.kind != "residual":
            found[site.layer - 1] = within_taps(
                found[site.layer - 1], partial(with_block_tapped, site=site, touch=touch)
            )
        elif site.layer:
            found[site.layer - 1] = Tap(found[site.layer - 1], touch)
        else:
            found[0] = within_taps(found[0], partial(EntryTap, touch=touch))
    return found


def within_taps(layer: nn.Module, change: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """`change` applied to the layer itself, behind all taps that wrap it: it sees what they have written."""
    if not isinstance(layer, Tap | EntryTap):
        return change(layer)
    return with_parts(layer, {"module": within_taps(layer.module, change)})


def with_block_tapped(layer: nn.Module, site: Site, touch: Touch) -> nn.Module:
    """A copy of `layer` in which one block is tapped."""
    if site.kind == "heads":
        name = first_of(layer, BLOCKS["attention"], site)
        block = within_taps(layer.get_submodule(name), partial(with_heads_tapped, site=site, touch=touch))
        return with_parts(layer, {name: block})
    name = block_name(layer, site)
    return with_parts(layer, {name: Tap(layer.get_submodule(name), touch)})


def with_heads_tapped(block: nn.Module, site: Site, touch: Touch) -> nn.Module:
    """A copy of an attention block in which what its heads have read is tapped."""
    name = first_of(block, OUT_PROJECTIONS, site)
    return with_parts(block, {name: within_taps(block.get_submodule(name), partial(EntryTap, touch=touch))})


def with_parts(module: nn.Module, parts: Mapping[str, nn.Module]) -> nn.Module:
    """A copy of `module` that shares everything with it but these parts."""
    copied = copy.copy(module)
    copied._modules = {**module._modules, **parts}
    return copied


def block_name(layer: nn.Module, site: Site) -> str:
    """The module of `layer` whose output is what the block adds to the stream."""
    for mark, names in POST_NORMS:
        if hasattr(layer, mark):
            return names[site.kind]
    return first_of(layer, BLOCKS[site.kind], site)


def first_of(module: nn.Module, names: Sequence[str], site: Site) -> str:
    """The first of these parts that `module` has. ModelError when it has none."""
    for name in names:
        if hasattr(module, name):
            return name
    raise ModelError(
        f"Layers of type {type(module).__name__} have no {site.kind} that are known here.",
        where=str(site),
        fix="Ask for the residual stream only.",
    )


class Watch:
    """Keeps, with its gradients, what the latest pass had in the residual stream after one layer."""

    def __init__(self) -> None:
        self.seen: Float[Tensor, "rows tokens width"] | None = None

    def over(self, body: nn.Module, layers: str, layer: int) -> nn.Module:
        """A copy of `body`, whose decoder layers go by the name `layers`, watched after `layer` of them."""
        watched = tapped(body.get_submodule(layers).children(), {Site("residual", layer): self._see})
        return with_parts(body, {layers: nn.ModuleList(watched)})

    def at(self, positions: Sequence[int]) -> Float[Tensor, "rows width"] | None:
        """What was seen at one position of each row; None where nothing is watched."""
        return None if self.seen is None else self.seen[torch.arange(len(positions)), list(positions)]

    def _see(self, hidden: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        self.seen = hidden
        return hidden


class Picks:
    """Rows picked out of what taps see: of each sequence of a batch the positions asked for, one pass after another."""

    def __init__(self) -> None:
        self.found: dict[Site, Tensor] = {}

    def ask(self, positions: Sequence[Int[np.ndarray, "_"]]) -> None:
        """Start a batch: which positions of each sequence are wanted."""
        self.found = {}
        self.sequence = np.repeat(np.arange(len(positions)), [len(wanted) for wanted in positions])
        self.position = np.concatenate([*positions, np.empty(0, dtype=np.int64)]).astype(np.int64)

    def expect(self, starts: Sequence[int], stops: Sequence[int], device: torch.device) -> None:
        """The next pass runs, row by row, these positions of the sequences (stops excluded); the rest is padding."""
        start, stop = (np.asarray(edges, dtype=np.int64)[self.sequence] for edges in (starts, stops))
        chosen = np.flatnonzero((self.position >= start) & (self.position < stop))
        self.place, self.row, self.column = (
            torch.from_numpy(index).to(device)
            for index in (chosen, self.sequence[chosen], (self.position - start)[chosen])
        )

    def share(
        self, opening: Mapping[Site, Float[Tensor, "_ width"]], wanted: Int[np.ndarray, "_"], prefix: int
    ) -> None:
        """Fill in what the opening, run before, has at the `wanted` ones of its `prefix` positions."""
        chosen = np.flatnonzero(self.position < prefix)
        for site, rows in opening.items():
            self.place = torch.from_numpy(chosen).to(rows.device)
            self.put(site, rows[torch.from_numpy(np.searchsorted(wanted, self.position[chosen])).to(rows.device)])

    def put(self, site: Site, rows: Float[Tensor, "_ width"]) -> None:
        """Rows for the places that this pass fills."""
        if site not in self.found:
            self.found[site] = rows.new_empty(len(self.position), rows.shape[-1])
        self.found[site][self.place] = rows

    def touch(self, site: Site) -> Touch:
        """What a tap at `site` does."""

        def pick(out: Tensor) -> Tensor:
            self.put(site, out[self.row, self.column])
            return out

        return pick


@dataclass
class Where:
    """Which conversations' which positions the batch in flight holds; what changes to them go by.

    `sequences` has been announced for the rows to come. Passes that nobody announced, those of tokens that are being
    generated, are told by their positions: they lie behind the end of what was announced last.
    """

    sequences: Sequence[TokenIds] = ()
    generated: bool = False
    positions: Int[Tensor, "rows tokens"] | None = None
    lengths: Int[Tensor, "rows 1"] | None = None

    def enter(self, hidden: Float[Tensor, "rows tokens width"], positions: Int[Tensor, "_ tokens"] | None) -> None:
        """A pass begins over `hidden`, at `positions`; those from 0 on unless given."""
        rows, tokens = hidden.shape[:2]
        given = torch.arange(tokens, device=hidden.device)[None] if positions is None else positions
        self.positions = given.expand(rows, -1)
        first = self.positions[:, 0].tolist()
        self.generated = len(self.sequences) != rows or any(
            at >= len(sequence) for at, sequence in zip(first, self.sequences, strict=True)
        )
        ends = first if self.generated else [len(sequence) for sequence in self.sequences]
        self.lengths = torch.tensor(ends, device=hidden.device)[:, None]

    def row(self, row: int) -> Where:
        """The same of one row."""
        assert self.positions is not None and self.lengths is not None
        return Where((), self.generated, self.positions[row : row + 1], self.lengths[row : row + 1])

    def within(self, at: slice | Sequence[int]) -> Bool[Tensor, "rows tokens"]:
        """Which of the positions in flight `at` means; what is negative counts from each conversation's end."""
        assert self.positions is not None and self.lengths is not None
        if isinstance(at, slice):
            start, stop = (
                None if edge is None else edge if edge >= 0 else self.lengths + edge for edge in (at.start, at.stop)
            )
            found = torch.ones_like(self.positions, dtype=torch.bool)
            found = found if start is None else found & (self.positions >= start)
            return found if stop is None else found & (self.positions < stop)
        return self.listed(at).any(-1)

    def listed(self, at: Sequence[int]) -> Bool[Tensor, "rows tokens listed"]:
        """For each position in flight, which of those listed it is."""
        assert self.positions is not None and self.lengths is not None
        wanted = torch.tensor(list(at), dtype=torch.long, device=self.positions.device)
        absolute = wanted.where(wanted >= 0, self.lengths + wanted)
        return self.positions[..., None] == absolute[:, None]


class Located(nn.Module):
    """Part of a changed model, whose changes are told where they are."""

    def __init__(self, part: nn.Module, where: Where) -> None:
        super().__init__()
        self.part, self.where = part, where

    def forward(
        self, inputs_embeds: Tensor, *, position_ids: Int[Tensor, "_ tokens"] | None = None, **named: Any
    ) -> Any:
        self.where.enter(inputs_embeds, position_ids)
        return self.part(inputs_embeds=inputs_embeds, position_ids=position_ids, **named)


def announce(body: nn.Module, sequences: Sequence[TokenIds]) -> None:
    """Tell which conversations the rows of the next pass through `body` are."""
    if isinstance(body, Located):
        body.where.sequences = sequences
