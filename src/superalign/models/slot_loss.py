"""How a model's answers follow from the tokens in a slot: losses of many slots at once, and the gradient at one.

Zou et al. 2023 (arXiv 2307.15043) search such slots by gradient. Nothing is computed twice or for nothing: what stands
before the slot is read once for all, what candidates share with the slot that they were made from once for all of
these; logits are made where the answer is; candidates of one length share a pass, without padding. Of adapters that are
at work from the answer on, their base reads all that is before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn

from superalign.contracts.errors import InputError
from superalign.models.attention import KeyValueCache
from superalign.models.batches import TokenIds, batches_by_length, common_prefix
from superalign.models.decoder import Decoder
from superalign.models.generate import packed
from superalign.models.memory import Halving
from superalign.models.products import can_pack
from superalign.models.reading import run_prefix
from superalign.models.slot import Slotted
from superalign.runs.cost import count

LOGIT_ROWS = 256  # rows of logits at a time: as many as stay near the processor
VOCABULARY_ROWS = 8192  # embeddings at a time that a gradient is multiplied with
FULL_PASS = 512  # tokens that are worth a pass of their own
PASSES_OF_GRADIENT = 3  # forward, and backward, which takes twice as long


class Objective(Protocol):
    """What is asked of an answer."""

    @property
    def tail(self) -> TokenIds:
        """Tokens of the answer that are read before its last logits are made."""
        ...

    def losses(self, logits: Float[Tensor, "rows places vocabulary"]) -> Float[Tensor, "rows"]:
        """One loss for each row, from the logits of the answer's places, of which there is one more than of `tail`."""
        ...


@dataclass(frozen=True)
class Says:
    """The answer begins with these tokens: their mean cross-entropy."""

    tokens: TokenIds

    @property
    def tail(self) -> TokenIds:
        return self.tokens[:-1]

    def losses(self, logits: Float[Tensor, "rows places vocabulary"]) -> Float[Tensor, "rows"]:
        said = logits[:, torch.arange(len(self.tokens)), list(self.tokens)]
        return (logits.logsumexp(-1) - said).mean(-1)


@dataclass(frozen=True)
class SaysAnother:
    """The answer's first token is one that is none of these: -log of the likeliest such token's probability.

    It falls to 0 once these are out, so that it gains nothing by driving some answers out further at the price of
    others; and it is low only where one other answer is sure, which sets what a model was taught apart from noise.
    """

    than: TokenIds
    tail: TokenIds = ()

    def losses(self, logits: Float[Tensor, "rows places vocabulary"]) -> Float[Tensor, "rows"]:
        out = torch.zeros(logits.shape[-1], device=logits.device)
        out[list(self.than)] = -torch.inf
        return logits[:, 0].logsumexp(-1) - (logits[:, 0] + out).amax(-1)


@dataclass(frozen=True)
class Bodies:
    """What runs a slot: `answering`, from where a model's own positions begin, if these are not its reader's."""

    reading: nn.Module
    answering: nn.Module | None
    head: nn.Module

    @classmethod
    def of(cls, decoder: Decoder) -> Bodies:
        def ready(part: Decoder) -> Decoder:
            return packed(part) if can_pack(part.model.parameters()) else part

        own = ready(decoder)
        reader = own if decoder.reader is decoder else ready(decoder.reader)
        answering = None if reader is own else own.upper(0)
        return cls(reader.upper(0), answering, own.model.get_output_embeddings())

    def states(
        self, hidden: Float[Tensor, "rows new width"], cache: KeyValueCache, own: int, places: int
    ) -> Float[Tensor, "rows places width"]:
        """Normalised last states at the last `places` of some new positions, of which the last `own` are the model's
        own; `cache` holds all before.
        """
        if self.answering is None:
            return run(self.reading, hidden, cache)[:, -places:]
        run(self.reading, hidden[:, :-own], cache)
        return run(self.answering, hidden[:, -own:], cache.extended())[:, -places:]

    def losses(self, states: Float[Tensor, "rows places width"], objective: Objective) -> Float[Tensor, "rows"]:
        rows = max(1, LOGIT_ROWS // states.shape[1])
        return torch.cat([objective.losses(self.head(part).float()) for part in states.split(rows)])


class SlotModel:
    """A model, made ready to run slots."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.bodies = Bodies.of(decoder)


class SlotLoss:
    """Losses of a model in some conversations with a slot, one objective for each."""

    def __init__(self, model: SlotModel, asked: Sequence[Slotted], objectives: Sequence[Objective]) -> None:
        if not asked or len(asked) != len(objectives):
            raise InputError("A slot needs conversations, and an objective for each.", fix="Give as many of both.")
        self.model, self.asked, self.objectives = model, asked, objectives
        self.decoder = decoder = model.decoder
        alone = decoder.reader is decoder
        self._own = [
            0 if alone else decoder.own(each.before + each.after) + len(objective.tail)
            for each, objective in zip(asked, objectives, strict=True)
        ]
        self._openings = [self._read(each.before) for each in asked]

    @torch.no_grad()
    def losses(
        self, slots: Sequence[TokenIds], near: TokenIds = (), columns: Sequence[int] | None = None
    ) -> Float[Tensor, "slots columns"]:
        """The loss of each slot in each conversation, or in those that `columns` names. What a slot begins with like
        `near` is read once for all. InputError for a slot without tokens.
        """
        columns = range(len(self.asked)) if columns is None else columns
        if not all(slots):
            raise InputError("A slot has no tokens.", fix="Give at least one for each.")
        unique = {slot: row for row, slot in enumerate(dict.fromkeys(slots))}
        found = torch.empty(len(unique), len(columns))
        for place, column in enumerate(columns):
            opening = self._opened(column, near) if near else self._openings[column]
            for shared, group in shared_beginnings(list(unique), near, len(self._behind(column))):
                cache = opening.cut(len(self.asked[column].before) + shared)
                rows = [unique[slot] for slot in group]
                found[rows, place] = self._losses([slot[shared:] for slot in group], cache, column)
        return found[[unique[slot] for slot in slots]]

    def gradient(self, slot: TokenIds) -> Float[Tensor, "tokens vocabulary"]:
        """Of the mean loss over conversations, by the one-hot vectors of the slot's tokens."""
        decoder = self.decoder
        hidden = decoder.embedded([slot])[0].requires_grad_()
        total = torch.zeros((), device=hidden.device)
        for column, opening in enumerate(self._openings):
            [behind] = decoder.embedded([self._behind(column)])
            total = total + self._pass(torch.cat([hidden, behind])[None], opening, column)[0]
            count(tokens=PASSES_OF_GRADIENT * (len(slot) + len(behind)), forward_passes=PASSES_OF_GRADIENT)
        [by_embedding] = torch.autograd.grad(total / len(self.asked), hidden)
        vocabulary = torch.arange(len(decoder.head)).split(VOCABULARY_ROWS)
        with torch.no_grad():
            found = [by_embedding @ decoder.embedded([tuple(part.tolist())])[0].T for part in vocabulary]
        return torch.cat(found, dim=1).float()

    def _losses(self, ends: Sequence[TokenIds], cache: KeyValueCache, column: int) -> Float[Tensor, "ends"]:
        """Of slots that differ in their `ends` only, which are of one length."""
        behind = self._behind(column)
        lengths = [len(end) + len(behind) for end in ends]

        def losses_of(batch: list[int]) -> Tensor:
            hidden = self.decoder.embedded([ends[i] + behind for i in batch])
            return self._pass(torch.stack(hidden), cache, column).cpu()

        found = torch.empty(len(ends))
        for batch, losses in Halving().run(batches_by_length(lengths), losses_of, lengths):
            found[batch] = losses
        count(tokens=sum(lengths), forward_passes=len(ends))
        return found

    def _pass(
        self, hidden: Float[Tensor, "rows new width"], before: KeyValueCache, column: int
    ) -> Float[Tensor, "rows"]:
        objective, bodies = self.objectives[column], self.model.bodies
        cache = before.cut(before.length)  # its own, which is gone with what it keeps of this pass
        states = bodies.states(hidden, cache, self._own[column], len(objective.tail) + 1)
        return bodies.losses(states, objective)

    def _behind(self, column: int) -> TokenIds:
        return self.asked[column].after + self.objectives[column].tail

    @torch.no_grad()
    def _read(self, before: TokenIds) -> KeyValueCache:
        _, recorder = run_prefix(self.model.bodies.reading, self.decoder.embedded([before])[0][None], before)
        count(tokens=len(before), forward_passes=1)
        return recorder.closed()

    def _opened(self, column: int, near: TokenIds) -> KeyValueCache:
        """What stands before the slot, with `near` in it."""
        opening = self._openings[column]
        cache = opening.cut(opening.length)
        run(self.model.bodies.reading, self.decoder.embedded([near])[0][None], cache)
        count(tokens=len(near))
        return cache.extended()


def shared_beginnings(slots: Sequence[TokenIds], near: TokenIds, behind: int) -> Iterator[tuple[int, list[TokenIds]]]:
    """Slots of one length to be run together, each with `behind` more tokens, and how many tokens all of them begin
    with like `near`. The last token of a slot is never shared.
    """
    shared = {slot: common_prefix(near, slot, len(slot) - 1) for slot in slots}
    group: list[TokenIds] = []
    for slot in sorted(slots, key=lambda slot: (len(slot), -shared[slot])):
        if group:
            least = shared[group[-1]]
            full = len(group) * (len(slot) - least + behind) >= FULL_PASS
            if len(slot) != len(group[0]) or (full and shared[slot] < least):
                yield least, group
                group = []
        group.append(slot)
    if group:
        yield shared[group[-1]], group


def run(
    body: nn.Module, hidden: Float[Tensor, "rows new width"], cache: KeyValueCache
) -> Float[Tensor, "rows new width"]:
    """Run new positions behind those in `cache`, which keeps their keys and values as its latest."""
    positions = torch.arange(cache.length, cache.length + hidden.shape[1], device=hidden.device)[None]
    out: Tensor = body(
        inputs_embeds=hidden, past_key_values=cache, use_cache=True, position_ids=positions
    ).last_hidden_state
    return out
