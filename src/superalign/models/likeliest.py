"""The likeliest next token in float32, for a third of the price: bfloat16 products rule out all but a few tokens.

A processor with bfloat16 products makes them several times as fast as those of float32, and the output matrix is a
fifth of a small model. How far its rounded logits can lie from the true ones is bounded (Cauchy-Schwarz); only tokens
within that bound of the highest can be the likeliest, and only their logits are computed in float32.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

BFLOAT16_UNIT = 2.0**-8  # a number rounded to bfloat16 is off by at most half of this, relatively
FLOAT32_UNIT = 2.0**-23
FEW = 64  # candidates for each row: with more, plain float32 products of the whole matrix are as fast


class Screen:
    """Finds for each state the token with the highest logit in float32."""

    def __init__(self, head: Float[Tensor, "vocabulary width"]) -> None:
        self.head = head
        self.rough = head.bfloat16()
        rounded = self.rough.float()
        self.largest = float(rounded.norm(dim=1).max())
        self.largest_error = float((head - rounded).norm(dim=1).max())
        self.packed = torch.ops.mkldnn._reorder_linear_weight(self.rough, 32)

    def likeliest(self, states: Float[Tensor, "rows width"]) -> Int[Tensor, "rows"]:
        rough_states = states.bfloat16()
        rough = torch.ops.mkldnn._linear_pointwise(rough_states, self.packed, None, "none", [], "")
        best = rough.amax(-1, keepdim=True).float()
        lowest = best - 2 * self._bound(states, rough_states, best)
        # Rounding the bar down to bfloat16 lets it be compared without another copy of all logits.
        rows, tokens = (rough >= below(lowest)).nonzero(as_tuple=True)
        if len(rows) > FEW * len(states):
            plain: Tensor = (states @ self.head.T).max(-1).indices
            return plain
        exact = (states[rows] * self.head[tokens]).sum(-1)
        highest = exact.new_full((len(states),), -torch.inf).scatter_reduce(0, rows, exact, "amax")
        first = tokens.new_full((len(states),), len(self.head))
        found: Tensor = first.scatter_reduce(
            0, rows, torch.where(exact == highest[rows], tokens, len(self.head)), "amin"
        )
        return found

    def _bound(
        self,
        states: Float[Tensor, "rows width"],
        rough_states: Float[Tensor, "rows width"],
        best: Float[Tensor, "rows 1"],
    ) -> Float[Tensor, "rows 1"]:
        """How far a rough logit that competes with the best can lie from the true one."""
        norms = states.norm(dim=1, keepdim=True)
        rounded = (states - rough_states.float()).norm(dim=1, keepdim=True)
        from_inputs = norms * self.largest_error + rounded * self.largest
        from_sums = 2 * states.shape[1] * FLOAT32_UNIT * norms * self.largest
        # A rough logit is itself rounded; of those that may win none is farther from 0 than this.
        farthest = best.abs() + from_inputs + from_sums
        bound: Tensor = from_inputs + from_sums + BFLOAT16_UNIT * farthest
        return bound


def below(values: Float[Tensor, "rows 1"]) -> Float[Tensor, "rows 1"]:
    """The values in bfloat16, never rounded up."""
    rounded = values.bfloat16()
    lower = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
    return torch.where(rounded.float() > values, lower, rounded)
