"""The residual stream at the answer position after three layers: ours against a loop over transformers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from superalign.bench.compare import Benchmark, Equality, compare
from superalign.models.decoder import Decoder, TokenIds
from superalign.models.source import load, resolve
from superalign.models.subject import Chat
from superalign.tasks.cities import Cities

GOAL = 3.0
BOUND = 1e-3  # largest difference in float32
MODEL, QUESTIONS, BATCH = "smollm2-135m", 512, 32
DEPTHS = (1 / 3, 1 / 2, 2 / 3)  # where a probe of truth is looked for

Activations = Float[Tensor, "questions layers width"]


def run(repeats: int, model: str = MODEL, questions: int = QUESTIONS) -> Benchmark:
    """The bench, on any model that `resolve` knows, in float32."""
    ours, theirs = (load(resolve(model), "cpu", torch.float32) for _ in range(2))  # each attends in its own way
    chat = Chat(ours.tokenizer)
    asked = Cities().load(limit=-(-questions // 2))[0][:questions]
    prompts = [chat.encode(question.asked) for question in asked]
    depth = ours.model.config.num_hidden_layers
    layers = [round(part * depth) for part in DEPTHS]
    return compare(
        "activations",
        GOAL,
        lambda: Decoder(ours.model).last_states(prompts, layers),  # a new one, which remembers nothing
        lambda: _transformers(theirs.model, ours.tokenizer, prompts, layers),
        _equal,
        repeats=repeats,
        notes=(
            f"{len(prompts)} questions like {asked[0].prompt!r}, of {min(map(len, prompts))} to "
            f"{max(map(len, prompts))} tokens; the residual stream of {model} after layers "
            f"{', '.join(map(str, layers))} of {depth} at the last token, in float32.",
            f"The peer runs batches of {BATCH}, padded on the left, with output_hidden_states.",
            "nnsight and TransformerLens are not compared here.",
        ),
        peer_name=f"transformers {version('transformers')}, a loop",
    )


@torch.no_grad()
def _transformers(model: Any, tokenizer: Any, prompts: Sequence[TokenIds], layers: Sequence[int]) -> Activations:
    found = []
    for start in range(0, len(prompts), BATCH):
        batch = {"input_ids": [list(prompt) for prompt in prompts[start : start + BATCH]]}
        padded = tokenizer.pad(batch, padding_side="left", return_tensors="pt")
        hidden = model(**padded, output_hidden_states=True).hidden_states
        found.append(torch.stack([hidden[layer][:, -1] for layer in layers], dim=1))
    return torch.cat(found)


def _equal(ours: Activations, peer: Activations) -> Equality:
    difference = float((ours - peer).abs().max())
    return Equality(passed=difference <= BOUND, measured=difference, bound=BOUND, what="largest difference")
