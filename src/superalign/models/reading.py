"""Conversations as a model has read them: what another model that differs only at their ends need not compute again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from superalign.contracts.errors import ModelError
from superalign.models.attention import KeyValueCache, Past
from superalign.models.batches import TokenIds
from superalign.models.memory import one_fits
from superalign.models.sites import announce

Result = TypeVar("Result")


@dataclass
class Reading:
    """Keys and values of conversations in all layers, at every position but the last.

    What other weights make of the last positions of each, its `own`, or of more tokens, depends on nothing else of the
    model that read.
    """

    openings: list[Past]  # each shared by a group of conversations
    opening_of: list[int]
    rest: list[Past]
    sequences: list[TokenIds]

    def past(self, row: int, own: int, layer: int = 0) -> Past:
        """Keys and values of one conversation before its `own` last positions, in the layers above `layer`."""
        opening = self.openings[self.opening_of[row]]
        whole = torch.cat([opening[:, layer:], self.rest[row][:, layer:]])
        return whole[: len(self.sequences[row]) - own]

    def only(self, rows: Sequence[int]) -> Reading:
        """Some of the conversations."""
        return Reading(
            openings=self.openings,
            opening_of=[self.opening_of[row] for row in rows],
            rest=[self.rest[row] for row in rows],
            sequences=[self.sequences[row] for row in rows],
        )

    def tensors(self) -> list[Tensor]:
        return [*self.openings, *self.rest]


def joined(readings: Sequence[Reading]) -> Reading:
    """The conversations of several readings, one after another."""
    first_opening = np.cumsum([0, *(len(reading.openings) for reading in readings)]).tolist()
    return Reading(
        openings=[opening for reading in readings for opening in reading.openings],
        opening_of=[
            first + place
            for first, reading in zip(first_opening, readings, strict=False)
            for place in reading.opening_of
        ],
        rest=[past for reading in readings for past in reading.rest],
        sequences=[sequence for reading in readings for sequence in reading.sequences],
    )


def check_asked(sequences: Sequence[TokenIds], own: Sequence[int]) -> None:
    """ModelError when there is nothing to read before the `own` last positions of a conversation."""
    if any(len(sequence) <= kept for sequence, kept in zip(sequences, own, strict=True)):
        raise ModelError("A conversation is all answer.", fix="Ask something before.")


def run_prefix(
    body: nn.Module, prefix: Float[Tensor, "1 prefix width"], sequence: TokenIds
) -> tuple[Float[Tensor, "1 prefix width"], KeyValueCache]:
    """Run the prefix, which may be empty, that `sequence` shares with others; returns it, and the cache that has its
    keys and values as the latest.
    """
    cache = KeyValueCache()
    if not prefix.shape[1]:
        return prefix, cache
    announce(body, [sequence])
    with one_fits(prefix.shape[1]):
        return body(inputs_embeds=prefix, past_key_values=cache, use_cache=True).last_hidden_state, cache


def run_batch(
    body: nn.Module, hidden: Sequence[Float[Tensor, "_ width"]], cache: KeyValueCache, sequences: Sequence[TokenIds]
) -> Float[Tensor, "batch tokens width"]:
    """Run conversations of one group behind their prefix, padded on the right."""
    announce(body, sequences)
    padded = pad_sequence(list(hidden), batch_first=True)
    positions: Int[Tensor, "1 tokens"] = torch.arange(
        cache.length, cache.length + padded.shape[1], device=padded.device
    )[None]
    out: Tensor = body(
        inputs_embeds=padded, past_key_values=cache, use_cache=True, position_ids=positions
    ).last_hidden_state
    return out


def run_own(
    body: nn.Module,
    reading: Reading,
    rows: Sequence[int],
    hidden: Sequence[Float[Tensor, "_ width"]],
    own: Sequence[int],
    layer: int = 0,
) -> Float[Tensor, "rows own width"]:
    """Run states after `layer` layers, at the `own` last positions of some conversations and behind, through `body`,
    whose layers see the reading's past; padded on the right.
    """
    pasts = [reading.past(row, kept, layer) for row, kept in zip(rows, own, strict=True)]
    cache = KeyValueCache.replay(pasts, layer)
    padded = pad_sequence(list(hidden), batch_first=True)
    lengths = torch.tensor([len(past) for past in pasts], device=padded.device)[:, None]
    positions = lengths + torch.arange(padded.shape[1], device=padded.device)
    read = torch.arange(cache.length, device=padded.device) >= cache.length - lengths
    announce(body, [reading.sequences[row] for row in rows])
    out: Tensor = body(
        inputs_embeds=padded,
        past_key_values=cache,
        use_cache=True,
        position_ids=positions,
        attention_mask=torch.cat([read, read.new_ones(padded.shape[:2])], dim=1),
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
