"""How far a policy has moved from the one it was trained from: the KL divergence of all that it may write."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.sites import Site

AT_ONCE = 256  # positions, each with logits of the whole vocabulary


@torch.no_grad()
def divergences(
    policy: Decoder,
    first: Decoder,
    prompts: Sequence[TokenIds],
    answers: Sequence[Sequence[int]],
    temperature: float,
) -> Float[np.ndarray, "answers"]:
    """For each answer, which `policy` wrote at this temperature, the KL divergence of its next tokens from those of
    `first`, summed over the answer, in nats.

    Its mean over answers estimates the policies' KL divergence without bias, by the chain rule; and with less variance
    than the mean of the answers' log-ratios, since what is drawn is only where one has come to. It is never negative.
    """
    places = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
    ours, theirs = (_states(decoder, prompts, answers) for decoder in (policy, first))
    found = [
        _divergence(_logprobs(policy, own, temperature), _logprobs(first, other, temperature))
        for own, other in zip(ours.split(AT_ONCE), theirs.split(AT_ONCE), strict=True)
    ]
    return np.bincount(places, torch.cat(found).cpu().numpy(), minlength=len(answers))


def _states(
    decoder: Decoder, prompts: Sequence[TokenIds], answers: Sequence[Sequence[int]]
) -> Float[Tensor, "positions width"]:
    """What each token of each answer follows from, one answer after another."""
    sequences = [(*prompt, *answer[:-1]) for prompt, answer in zip(prompts, answers, strict=True)]
    asked = [np.arange(len(prompt) - 1, len(sequence)) for prompt, sequence in zip(prompts, sequences, strict=True)]
    site = Site("residual", decoder.depth)
    found: dict[int, Tensor] = {}
    for batch, rows in decoder.visit(sequences, [site], asked):
        found |= zip(batch, rows[site].split([len(asked[i]) for i in batch]), strict=True)
    return torch.cat([found[i] for i in range(len(sequences))])


def _logprobs(
    decoder: Decoder, states: Float[Tensor, "rows width"], temperature: float
) -> Float[Tensor, "rows vocabulary"]:
    return (decoder.normed(states) @ decoder.head.float().T / temperature).log_softmax(-1)


def _divergence(
    ours: Float[Tensor, "rows vocabulary"], theirs: Float[Tensor, "rows vocabulary"]
) -> Float[Tensor, "rows"]:
    return (ours.exp() * (ours - theirs)).sum(-1).clamp(min=0)
