"""Sampled answers drawn again: given prompt, seed and settings, which token each place should have had.

Tokens lie side by side in a row, each as wide as it is likely, and the seed's uniform number falls on one of them
(`generate.draw`). Whoever has the model, the prompt and the seed can look where it falls. The answer's own tokens are
given to the model, so that one token that differs does not make all later ones differ too: all places cost one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.generate import Sampling, least_likely, streams
from superalign.models.sites import Site


@dataclass(frozen=True)
class Redrawn:
    """One answer, place by place: the token it has, the one that is drawn again, and how far apart these are."""

    tokens: Int[np.ndarray, "tokens"]
    drawn: Int[np.ndarray, "tokens"]
    logprobs: Float[np.ndarray, "tokens"]  # log2 P(token), at the temperature, among all tokens
    margins: Float[np.ndarray, "tokens"]  # from the uniform number to the token's own stretch, in probability
    vocabulary: int

    @property
    def same(self) -> Bool[np.ndarray, "tokens"]:
        return np.asarray(self.tokens == self.drawn)


@torch.no_grad()
def redraw(
    decoder: Decoder, prompts: Sequence[TokenIds], answers: Sequence[TokenIds], how: Sequence[Sampling | None]
) -> list[Redrawn]:
    """Each answer's tokens, and those that its prompt and `Sampling` give; greedy ones where that is None.

    Of a prompt that was asked several times in one call it is the first answer. InputError for an answer without
    tokens, one with tokens that the model does not have, and a model whose adapters do not work at every position.
    """
    check(decoder, answers)
    sequences = [(*prompt, *answer[:-1]) for prompt, answer in zip(prompts, answers, strict=True)]
    places = [np.arange(len(prompt) - 1, len(whole)) for prompt, whole in zip(prompts, sequences, strict=True)]
    last, found = Site("residual", decoder.depth), dict[int, Redrawn]()
    for batch, rows in decoder.visit(sequences, [last], places):
        sizes = [len(places[i]) for i in batch]
        for i, states in zip(batch, rows[last].split(sizes), strict=True):
            head = decoder.model.get_output_embeddings()
            logits: Tensor = head(decoder.normed(states).to(decoder.head.dtype)).float()
            found[i] = compare(logits, prompts[i], answers[i], how[i])
    return [found[i] for i in range(len(prompts))]


def compare(
    logits: Float[Tensor, "tokens vocabulary"], prompt: TokenIds, answer: TokenIds, sampling: Sampling | None
) -> Redrawn:
    """An answer beside what the logits at its places, and the prompt's uniform numbers, give."""
    probabilities = (logits / (sampling.temperature if sampling else 1.0)).softmax(-1)
    own = torch.tensor(answer, device=logits.device)[:, None]
    logprobs = probabilities.gather(1, own).clamp_min(torch.finfo(torch.float32).tiny).log2()
    if sampling is None:
        likeliest = probabilities.max(-1)
        drawn, margins = likeliest.indices, likeliest.values - probabilities.gather(1, own)[:, 0]
    else:
        kept = probabilities
        if sampling.top_p < 1:
            kept = probabilities.where(probabilities >= least_likely(probabilities, sampling.top_p), 0)
        edges = kept.cumsum(-1, dtype=torch.float64)
        [uniforms] = streams([prompt], len(answer), sampling.seed)
        at = torch.from_numpy(uniforms).to(edges.device)[:, None] * edges[:, -1:]
        drawn = torch.searchsorted(edges, at, right=True)[:, 0]
        end = edges.gather(1, own)
        start = end - kept.gather(1, own)
        margins = (torch.maximum(start - at, at - end).clamp_min(0) / edges[:, -1:])[:, 0]
    return Redrawn(
        tokens=np.array(answer),
        drawn=drawn.cpu().numpy(),
        logprobs=logprobs[:, 0].double().cpu().numpy(),
        margins=margins.double().cpu().numpy(),
        vocabulary=logits.shape[1],
    )


def check(decoder: Decoder, answers: Sequence[TokenIds]) -> None:
    if decoder.reader is not decoder:
        raise InputError(
            "Answers of a model with activated adapters can't be drawn again.", fix="Merge the adapter into a model."
        )
    vocabulary = len(decoder.head)
    for answer in answers:
        if not answer or not 0 <= min(answer) <= max(answer) < vocabulary:
            raise InputError(
                "An answer has no tokens, or tokens that the model does not have.",
                fix=f"Give at least one token, each below {vocabulary}.",
            )
