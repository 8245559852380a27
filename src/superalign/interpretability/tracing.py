"""Causal tracing: where, and in which layers, does a model recall a fact?

Meng et al. 2022 (arXiv 2202.05262, section 2.1). Noise on the embeddings of the subject's tokens makes the model forget
the answer. Whatever brings it back when it is restored to what it was without the noise carries the fact: the indirect
effect of a state is the probability of the answer with it restored, less that without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from scipy.stats import t as student
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Cost, Interval, Record, Unscored
from superalign.interpretability.facts import Fact, LaidOut, answer_tokens, lay_out
from superalign.models.altered import with_open_weights
from superalign.models.batches import batches_by_length
from superalign.models.decoder import Decoder
from superalign.models.intervene import EVERYWHERE, Intervention, intervene
from superalign.models.memory import Halving
from superalign.models.reading import run_batch, run_prefix
from superalign.models.sites import Kind, Site, Where
from superalign.models.subject import ModelSubject
from superalign.runs.cost import count, metered

NOISE = 3.0  # standard deviations of the model's embeddings, as in the paper
WINDOW = 10  # layers whose MLP outputs are restored together: one alone brings little back
SAMPLED = 4096  # embeddings that the deviation is taken of
LEVEL = 0.95

# What is restored in one run: the positions at each site.
Restored = Mapping[Site, Sequence[int]]


class EffectMap(Record):
    """Mean indirect effects over draws of noise, with an interval (Student's t) for each, by layer and position."""

    kind: Literal["residual", "mlp"]
    window: int = Field(description="Layers that are restored together, around the one that is named.")
    layers: tuple[int, ...]
    mean: tuple[tuple[float, ...], ...]
    low: tuple[tuple[float, ...], ...]
    high: tuple[tuple[float, ...], ...]

    def strongest(self) -> tuple[int, int]:
        """The layer and the column of the largest mean; among so many, the largest is likely to be too large."""
        row, column = np.unravel_index(np.argmax(self.mean), np.shape(self.mean))
        return self.layers[int(row)], int(column)


class Trace(Record):
    """Where a fact is recalled. Columns of the maps are `tokens`, which begin with the subject: nothing before it is
    changed by the noise.
    """

    fact: Fact
    tokens: tuple[str, ...]
    subject: int = Field(description="How many of the tokens, from the first on, are the subject's.")
    clean: float = Field(description="Probability of the answer's first token.")
    corrupted: Interval = Field(description="The same with noise on the subject.")
    draws: int
    deviation: float = Field(description="Of the noise.")
    residual: EffectMap
    mlp: EffectMap
    cost: Cost = Cost()


def trace(
    subject: Subject, fact: Fact, *, draws: int = 10, noise: float = NOISE, window: int = WINDOW, seed: int = 0
) -> Trace | Unscored:
    """Indirect effects of the residual stream after each layer and of MLP outputs, from the subject's first token on.

    `Unscored` for a model without open weights, and where noise does not lower the probability of the answer: a model
    that does not know the fact has nothing to recall. InputError for fewer than 2 draws.
    """
    opened = with_open_weights(subject)
    if opened is None:
        return Unscored(reason="the model does not show its weights, and can't be changed inside")
    if draws < 2 or window < 1 or noise <= 0:
        raise InputError("There is nothing to measure.", where="tracing", fix="2 draws, a window of 1, noise above 0.")
    with metered() as meter:
        runs = CorruptedRuns(opened, fact, draws=draws, noise=noise, seed=seed)
        unrestored = runs.probabilities([{}])[:, 0]
        corrupted = _interval(unrestored)
        if not corrupted.high < runs.clean:
            return Unscored(
                reason=f"noise does not make it forget the answer: {corrupted.value:.3g}, and {runs.clean:.3g} without"
            )
        return Trace(
            fact=fact,
            tokens=tuple(opened.chat.tokenizer.convert_ids_to_tokens(runs.laid.tokens[runs.laid.first :])),
            subject=runs.laid.last + 1 - runs.laid.first,
            clean=runs.clean,
            corrupted=corrupted,
            draws=draws,
            deviation=runs.deviation,
            residual=_effects(runs, "residual", 1, unrestored),
            mlp=_effects(runs, "mlp", window, unrestored),
            cost=meter.cost(),
        )


@dataclass(frozen=True, eq=False)
class Restore:
    """Puts back what a clean run has at a site, in each row of a batch at positions of its own."""

    site: Site
    chosen: Bool[Tensor, "rows tokens"]
    clean: Float[Tensor, "tokens width"]
    at: slice = field(default_factory=lambda: EVERYWHERE)
    vectors: None = None

    def apply(self, states: Float[Tensor, "rows tokens width"], where: Where) -> Float[Tensor, "rows tokens width"]:
        assert where.positions is not None  # a pass is under way
        here = self.chosen.gather(1, where.positions)
        return torch.where(here[..., None], self.clean[where.positions].to(states), states)


class CorruptedRuns:
    """One fact, asked with noise on its subject, in as many ways as are wanted restored.

    What stands before the subject is read once; a run costs the tokens from there on.
    """

    def __init__(self, subject: ModelSubject, fact: Fact, *, draws: int, noise: float, seed: int) -> None:
        self.decoder = subject.decoder
        self.laid: LaidOut = lay_out(subject.chat, fact)
        self.answer = answer_tokens(subject.chat, fact)[0]
        self.own = self.decoder.own(self.laid.tokens)
        self.start = self.laid.first  # which is asked about, and so lies before the answer
        self.deviation = noise * _embedding_deviation(self.decoder)
        self.sites = [Site("residual", layer) for layer in range(self.decoder.depth + 1)]
        self.sites += [Site("mlp", layer) for layer in range(1, self.decoder.depth + 1)]
        tokens = self.laid.tokens
        [(_, self.states)] = self.decoder.visit([tokens], self.sites, [np.arange(len(tokens))])
        before, embedded = self.decoder.embedded([tokens[: self.start], tokens[self.start :]])
        with torch.no_grad():
            _, self.before = run_prefix(self.decoder.reader.upper(0), before[None], tokens)
        named = slice(self.laid.first - self.start, self.laid.last + 1 - self.start)
        drawn = torch.randn(draws, *embedded[named].shape, generator=torch.Generator().manual_seed(seed))
        self.noisy = embedded.expand(draws, -1, -1).clone()
        self.noisy[:, named] += (drawn * self.deviation).to(embedded)
        self.clean = float(self._run(embedded[None], [{}])[0])

    def probabilities(self, restored: Sequence[Restored]) -> Float[np.ndarray, "draws runs"]:
        """Probability of the answer with noise, each time with something else restored."""
        asked = [(draw, run) for run in range(len(restored)) for draw in range(len(self.noisy))]
        found = np.empty((len(self.noisy), len(restored)))

        def run(batch: list[int]) -> Tensor:
            return self._run(self.noisy[[asked[i][0] for i in batch]], [restored[asked[i][1]] for i in batch])

        lengths = [self.noisy.shape[1]] * len(asked)
        for batch, probabilities in Halving().run(batches_by_length(lengths), run, lengths):
            for i, probability in zip(batch, probabilities.tolist(), strict=True):
                found[asked[i]] = probability
        return found

    @torch.no_grad()
    def _run(self, hidden: Float[Tensor, "rows tokens width"], restored: Sequence[Restored]) -> Float[Tensor, " rows"]:
        """One batch: what stands before the answer by the model's reader, the rest by the model itself."""
        rows, sequences = list(hidden), [self.laid.tokens] * len(hidden)
        changed = intervene(self.decoder, self._restorations(restored))
        cache = self.before.closed()
        read = 0 if changed.reader is changed else len(rows[0]) - self.own
        if read:
            run_batch(changed.reader.upper(0), [row[:read] for row in rows], cache, sequences)
            cache = cache.extended()
        last = run_batch(changed.upper(0), [row[read:] for row in rows], cache, sequences)[:, -1]
        count(tokens=hidden.shape[0] * hidden.shape[1], forward_passes=len(rows))
        logits = last.float() @ self.decoder.head.float().T
        probabilities: Tensor = logits.softmax(-1)[:, self.answer].cpu()
        return probabilities

    def _restorations(self, restored: Sequence[Restored]) -> list[Intervention]:
        """Row by row what is restored, as interventions that a whole batch goes through."""
        found: list[Intervention] = []
        for site in sorted({site for run in restored for site in run}):
            chosen = torch.zeros(len(restored), len(self.laid.tokens), dtype=torch.bool, device=self.decoder.device)
            for row, run in enumerate(restored):
                chosen[row, list(run.get(site, ()))] = True
            found.append(Restore(site, chosen, self.states[site]))
        return found


def _effects(
    runs: CorruptedRuns, kind: Literal["residual", "mlp"], window: int, unrestored: Float[np.ndarray, " draws"]
) -> EffectMap:
    depth, positions = runs.decoder.depth, range(runs.laid.first, len(runs.laid.tokens))
    layers = range(0 if kind == "residual" else 1, depth + 1)
    restored = [
        {site: [position] for site in _around(kind, layer, window, depth)} for layer in layers for position in positions
    ]
    gained = runs.probabilities(restored) - unrestored[:, None]
    mean, half = gained.mean(0), _half_width(gained)
    shape = (len(layers), len(positions))
    low, high = (mean - half).reshape(shape), (mean + half).reshape(shape)
    return EffectMap(
        kind=kind,
        window=window,
        layers=tuple(layers),
        mean=_rows(mean.reshape(shape)),
        low=_rows(low),
        high=_rows(high),
    )


def _around(kind: Kind, layer: int, window: int, depth: int) -> list[Site]:
    """The sites of `window` layers around one, fewer where the model ends."""
    first, last = max(1, layer - window // 2), min(depth, layer + (window - 1) // 2)
    return [Site(kind, layer)] if window == 1 else [Site(kind, near) for near in range(first, last + 1)]


def _embedding_deviation(decoder: Decoder) -> float:
    """Of the numbers in the embeddings of tokens from all over the vocabulary."""
    step = max(1, len(decoder.head) // SAMPLED)
    [sample] = decoder.embedded([tuple(range(0, len(decoder.head), step))])
    return float(sample.float().std())


def _interval(values: Float[np.ndarray, " draws"]) -> Interval:
    mean, half = float(values.mean()), float(_half_width(values))
    return Interval(value=mean, low=mean - half, high=mean + half, level=LEVEL)


def _half_width(values: Float[np.ndarray, "draws *cells"]) -> Float[np.ndarray, "*cells"]:
    """Half of the interval of a mean over draws."""
    draws = len(values)
    return np.asarray(values.std(0, ddof=1) / draws**0.5 * student.ppf((1 + LEVEL) / 2, draws - 1))


def _rows(values: Float[np.ndarray, "layers positions"]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
