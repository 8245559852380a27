"""Greedy coordinate gradient (Zou et al. 2023, arXiv 2307.15043): one token of a slot after another, each swapped for
one that the gradient favours and that a forward pass finds best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float

from superalign.models.batches import TokenIds
from superalign.models.slot_loss import SlotLoss
from superalign.models.subject import Chat

ASKED_ALL = 64  # slots that are tried in all conversations
GO_ON = 4  # one in so many goes on from a conversation to the next, while there are more


@dataclass(frozen=True)
class Tried:
    """A slot, and its mean loss over the conversations."""

    slot: TokenIds
    loss: float


def step(
    loss: SlotLoss,
    chat: Chat,
    slot: TokenIds,
    allowed: Sequence[int],
    *,
    width: int,
    top: int,
    generator: torch.Generator,
) -> list[Tried]:
    """The best neighbours of `slot`, the best first; none where no neighbour lasts as text."""
    found = swaps(slot, loss.gradient(slot), allowed, width=width, top=top, generator=generator)
    return narrowed(loss, chat, found, slot)


def swaps(
    slot: TokenIds,
    gradient: Float[torch.Tensor, "tokens vocabulary"],
    allowed: Sequence[int],
    *,
    width: int,
    top: int,
    generator: torch.Generator,
) -> list[TokenIds]:
    """`width` neighbours of `slot`, repeats among them: at a random position a random one of the `top` allowed tokens
    by which the loss would fall most, going by its gradient (algorithm 1).
    """
    forbidden = torch.full_like(gradient[0], torch.inf)
    forbidden[list(allowed)] = 0
    top = min(top, len(allowed))
    best = (-gradient - forbidden).topk(top, dim=1).indices
    positions = torch.rand(width, len(slot), generator=generator).argsort()[:, 0]
    picks = torch.randint(top, (width, 1, 1), generator=generator)[:, 0, 0]
    found = torch.tensor(slot).repeat(width, 1)
    found[torch.arange(width), positions] = best[positions, picks]
    return [tuple(row) for row in found.tolist()]


def narrowed(loss: SlotLoss, chat: Chat, slots: Sequence[TokenIds], near: TokenIds = ()) -> list[Tried]:
    """The best of those `slots` whose text lasts, the best first; many begin like `near`. They meet one conversation
    after another, and few go on from each (successive halving: Jamieson and Talwalkar 2015, arXiv 1502.07943).
    """
    kept = loss.asked[0].lasting(chat, list(dict.fromkeys(slots)))
    total = torch.zeros(len(kept))
    for column in range(len(loss.asked) if kept else 0):
        total = total + loss.losses(kept, near, [column])[:, 0]
        order = total.argsort(stable=True)[: max(ASKED_ALL, len(kept) // GO_ON)]
        kept, total = [kept[i] for i in order.tolist()], total[order]
    mean = (total / len(loss.asked)).tolist()
    return [Tried(slot, each) for slot, each in zip(kept, mean, strict=True)]
