"""Conversations as a model has read them: what another model that differs only at their ends need not compute again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from superalign.models.attention import KeyValueCache, Past

Result = TypeVar("Result")


@dataclass
class Reading:
    """Keys and values of conversations in the layers above `layer`, before the last positions of each: its `own`.

    What other weights make of those positions, or of more tokens, depends on nothing else of the model that read.
    """

    layer: int
    openings: list[Past]  # each shared by a group of conversations
    opening_of: list[int]
    rest: list[Past]
    own: list[Float[Tensor, "own width"]]  # states after `layer` layers

    def past(self, row: int) -> Past:
        """Keys and values of one conversation at all positions but its own."""
        return torch.cat([self.openings[self.opening_of[row]], self.rest[row]])

    def tensors(self) -> list[Tensor]:
        return [*self.openings, *self.rest, *self.own]


def joined(readings: Mapping[int, Reading], order: Sequence[tuple[int, int]]) -> Reading:
    """Conversations out of several readings at one layer; each named by its reading and its row there."""
    first_opening: dict[int, int] = {}
    openings: list[Past] = []
    for name, reading in readings.items():
        first_opening[name] = len(openings)
        openings += reading.openings
    return Reading(
        layer=next(iter(readings.values())).layer,
        openings=openings,
        opening_of=[first_opening[name] + readings[name].opening_of[row] for name, row in order],
        rest=[readings[name].rest[row] for name, row in order],
        own=[readings[name].own[row] for name, row in order],
    )


def run_own(
    body: nn.Module, reading: Reading, rows: Sequence[int], own: Sequence[Float[Tensor, "_ width"]]
) -> Float[Tensor, "rows own width"]:
    """Run states at the `own` positions of some conversations through `body`, whose layers see the reading's past;
    padded on the right.
    """
    pasts = [reading.past(row) for row in rows]
    cache = KeyValueCache.replay(pasts, reading.layer)
    hidden = pad_sequence(list(own), batch_first=True)
    lengths = torch.tensor([len(past) for past in pasts], device=hidden.device)[:, None]
    positions = lengths + torch.arange(hidden.shape[1], device=hidden.device)
    read = torch.arange(cache.length, device=hidden.device) >= cache.length - lengths
    out: Tensor = body(
        inputs_embeds=hidden,
        past_key_values=cache,
        use_cache=True,
        position_ids=positions,
        attention_mask=torch.cat([read, read.new_ones(hidden.shape[:2])], dim=1),
    ).last_hidden_state
    return out


class Remembered:
    """The results of the latest calls, as many as fit a number of bytes; the last one always."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def recall(
        self, key: Hashable, make: Callable[[], Result], tensors: Callable[[Result], Sequence[Tensor]]
    ) -> Result:
        """What `make` returns, or returned before under this `key`; `tensors` tells what it takes to keep it."""
        if key not in self._kept:
            made = make()
            self._kept[key] = made, sum(tensor.numel() * tensor.element_size() for tensor in tensors(made))
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self.budget:
            self._kept.popitem(last=False)
        result: Result = self._kept[key][0]
        return result
