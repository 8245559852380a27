"""Induction heads: some heads find the last time a token stood, and copy what came after it.

Found before, by Elhage et al. 2021, *A Mathematical Framework for Transformer Circuits*, and Olsson et al. 2022,
*In-context Learning and Induction Heads* (arXiv 2209.11895): in a row of random tokens that is said twice, such heads
attend from each token of the second copy to the token behind its first copy; they are why the second copy is easy.

Shown here, in SmolLM2-135M-Instruct: a few heads have most of the induction score (the attention to that token); with
the best of them ablated, the loss on the second copy rises by far more than with as many others drawn at random, while
the loss on tokens that are no copy hardly moves.

    python examples/induction_heads.py [FOLDER FOR THE FIGURE]

Takes about half a minute on one core. Needs the embedded model: superalign models pull smollm2-135m
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.generate import choice_logprobs
from superalign.models.handle import open_alone
from superalign.models.heads import Head, attention_patterns, others_of_the_same_layers, without_heads
from superalign.report.charts import heatmap, write


@dataclass(frozen=True)
class Row:
    """Random tokens, and as many others. What opens every conversation stands before them."""

    opening: TokenIds
    tokens: TokenIds
    others: TokenIds


def draw_rows(words: Sequence[int], opening: TokenIds, rows: int, length: int, seed: int) -> list[Row]:
    """Rows in which no token stands twice but for the copy."""
    rng = np.random.default_rng(seed)
    drawn = [tuple(rng.choice(words, 2 * length, replace=False).tolist()) for _ in range(rows)]
    return [Row(opening, of[:length], of[length:]) for of in drawn]


def induction_scores(decoder: Decoder, rows: Sequence[Row]) -> Float[np.ndarray, "layers heads"]:
    """Mean attention from each token of the second copy to the one behind its first copy; the last has none there."""
    scores = []
    for row in rows:
        length, start = len(row.tokens), len(row.opening)
        pattern = attention_patterns(decoder, row.opening + row.tokens + row.tokens)
        queries = torch.arange(start + length, start + 2 * length - 1)
        scores.append(pattern[:, :, queries, queries - length + 1].mean(-1))
    return torch.stack(scores).mean(0).numpy()


def losses(decoder: Decoder, rows: Sequence[Row]) -> tuple[float, float]:
    """Nats for each token behind a first copy: of the second one, and of others, which nothing foretells."""
    found = []
    for row in rows:
        [logprobs] = choice_logprobs(decoder, [row.opening + row.tokens], [row.tokens, row.others])
        found.append(-logprobs.numpy() / len(row.tokens))
    copy, others = np.mean(found, axis=0).tolist()
    return copy, others


@dataclass(frozen=True)
class Finding:
    """Losses are pairs: on the second copy, and on tokens that are none."""

    scores: Float[np.ndarray, "layers heads"]
    heads: tuple[Head, ...]
    intact: tuple[float, float]
    without: tuple[float, float]
    without_others: tuple[tuple[float, float], ...]


def study(
    decoder: Decoder, scored: Sequence[Row], tested: Sequence[Row], *, ablated: int, draws: int, seed: int = 0
) -> Finding:
    """Heads are chosen on `scored` rows; what ablating them does is measured on others."""
    scores = induction_scores(decoder, scored)
    order = np.argsort(-scores, axis=None)[:ablated]
    heads = tuple(Head(int(place) // decoder.heads + 1, int(place) % decoder.heads) for place in order)
    rng = np.random.default_rng(seed)
    controls = [others_of_the_same_layers(decoder, heads, rng) for _ in range(draws)]
    return Finding(
        scores,
        heads,
        losses(decoder, tested),
        losses(without_heads(decoder, heads), tested),
        tuple(losses(without_heads(decoder, control), tested) for control in controls),
    )


def on_the_embedded_model(*, rows: int = 2, length: int = 40, ablated: int = 10, draws: int = 5) -> Finding:
    subject, _ = open_alone("smollm2-135m")
    tokenizer = subject.chat.tokenizer
    words = subject.chat.first_tokens([f" {word}" for word in subject.chat.whole_words()])
    drawn = draw_rows(words, (tokenizer.bos_token_id,), 2 * rows, length, seed=0)
    return study(subject.decoder, drawn[:rows], drawn[rows:], ablated=ablated, draws=draws)


def main(folder: Path) -> None:
    found = on_the_embedded_model()
    print("Induction scores:", ", ".join(f"{h} {found.scores[h.layer - 1, h.head]:.2f}" for h in found.heads))
    print(f"The median head has {np.median(found.scores):.3f}.")
    print(f"{'':36}{'second copy':>12}{'no copy':>9}   (nats for each token)")
    print(f"{'intact':36}{found.intact[0]:>12.2f}{found.intact[1]:>9.2f}")
    print(f"{f'without these {len(found.heads)}':36}{found.without[0]:>12.2f}{found.without[1]:>9.2f}")
    for copy, others in found.without_others:
        print(f"{f'without {len(found.heads)} others of the same layers':36}{copy:>12.2f}{others:>9.2f}")
    chart = heatmap(
        "induction",
        "Attention to the token behind the first copy",
        found.scores.T.tolist(),
        rows=[str(head) for head in range(found.scores.shape[1])],
        columns=[str(layer + 1) for layer in range(len(found.scores))],
        x="layer",
        y="head",
        limit=1.0,
    )
    write(folder / "induction_heads.svg", chart)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
