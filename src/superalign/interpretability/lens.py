"""The logit lens (nostalgebraist 2020): which tokens a state, a change of states, or a matrix's direction speaks of."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from superalign.models.decoder import Decoder


class Lens:
    """Reads the residual stream of a base, and of what was trained from it, through the base's last norm and head."""

    def __init__(self, decoder: Decoder, chat: Any) -> None:
        self.chat = chat
        # A difference of two near states would be lost in the rounding of bfloat16.
        self._norm = copy.deepcopy(getattr(decoder.body, decoder.family.norm)).float()
        self._head = decoder.head
        self._embeddings: Tensor = decoder.model.get_input_embeddings().weight

    @torch.no_grad()
    def normed(self, states: Float[np.ndarray, "*rows width"]) -> Float[np.ndarray, "*rows width"]:
        """The states as the output matrix reads them."""
        return np.asarray(self._norm(self._tensor(states)).float().cpu().numpy(), dtype=np.float64)

    @torch.no_grad()
    def logits(self, normed: Float[np.ndarray, "width"]) -> Float[np.ndarray, "vocabulary"]:
        """What a normed state, or a difference of such, adds to every token's logit."""
        found = self._head @ self._tensor(normed).to(self._head.dtype)
        return np.asarray(found.float().cpu().numpy(), dtype=np.float64)

    @torch.no_grad()
    def directions(self, tokens: Sequence[int]) -> Float[np.ndarray, "directions width"]:
        """An orthonormal basis of what sets the logits of `tokens` apart from those of an average token."""
        rows = (self._head[list(tokens)].float() - self._head.mean(dim=0, dtype=torch.float32)).cpu().numpy()
        _, sizes, basis = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
        return np.asarray(basis[sizes > 1e-6 * sizes.max(initial=0.0)])

    def written(
        self, direction: Float[np.ndarray, "width"], at: Float[np.ndarray, "width"]
    ) -> Float[np.ndarray, "vocabulary"]:
        """How every logit moves when the residual stream, at the state `at`, moves along `direction`."""
        step = 1e-2 * float(np.linalg.norm(at)) * direction / np.linalg.norm(direction)
        return self.logits(self.normed(at + step) - self.normed(at - step))

    @torch.no_grad()
    def read(self, direction: Float[np.ndarray, "width"]) -> Float[np.ndarray, "vocabulary"]:
        """The cosine of every token's input embedding with `direction`."""
        embeddings = self._embeddings.float()
        along = embeddings @ self._tensor(direction).float() / embeddings.norm(dim=1).clamp_min(1e-12)
        return np.asarray((along / np.linalg.norm(direction)).cpu().numpy(), dtype=np.float64)

    def tokens(self, logits: Float[np.ndarray, "vocabulary"], count: int = 8) -> list[str]:
        """The tokens of the largest logits, as text in quotes."""
        ranked = np.argsort(-logits, kind="stable")[:count]
        return [repr(text) for text in self.chat.tokenizer.batch_decode([[int(token)] for token in ranked])]

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._head.device)
