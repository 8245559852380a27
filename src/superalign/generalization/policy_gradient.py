"""Reinforcement learning on a learned reward, by the exact gradient: no draws, so no noise of drawing.

The policy's logits of the candidates are linear in what the model reads of each, alike for all prompts. So it can only
favour what it can read in common, as a model that is finetuned would; the KL-optimal policy has no such bound.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

UPDATES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # after which the policy is looked at
RATE = 1.0


def course(
    states: Float[np.ndarray, "prompts candidates width"], reward: Float[np.ndarray, "prompts candidates"]
) -> list[Float[np.ndarray, "prompts candidates"]]:
    """The policy after each number of `UPDATES` by steepest ascent of its expected reward, from drawing evenly. States
    and rewards are in units of their spread.
    """
    width = states.shape[-1]
    features = (states - states.mean(axis=(0, 1))) / (states.std(axis=(0, 1)) + 1e-9) / np.sqrt(width)
    scaled = reward / (reward.std() or 1.0)
    direction, found = np.zeros(width), []
    for number in range(UPDATES[-1] + 1):
        policy = softmax(features @ direction)
        if number in UPDATES:
            found.append(policy)
        direction += RATE * np.einsum("pc,pcw->w", advantage(policy, scaled), features) / len(features)
    return found


def softmax(logits: Float[np.ndarray, "*any choices"]) -> Float[np.ndarray, "*any choices"]:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def advantage(
    chances: Float[np.ndarray, "*any choices"], worth: Float[np.ndarray, "*any choices"]
) -> Float[np.ndarray, "*any choices"]:
    """The gradient of the expected worth with respect to the logits."""
    return np.asarray(chances * (worth - (chances * worth).sum(axis=-1, keepdims=True)))
