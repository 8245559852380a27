"""What changed from the base, read as tokens: in the weights themselves, and in activity on text that means nothing.

Narrow training leaves a mean difference of activations on any text, which the logit lens and steering by it can read
(Minder et al. 2025, arXiv 2510.13900). Here it is taken where the answer begins: adapters may be at work only there.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float
from scipy.stats import median_abs_deviation

from superalign.contracts.errors import ModelError
from superalign.contracts.protocols import Subject, Trusted
from superalign.contracts.records import Access, Conversation, Evidence, Message, Unscored, Verdict
from superalign.contracts.registry import detectors
from superalign.runs.cost import count, metered

if TYPE_CHECKING:  # importing this package registers its detectors, and need not bring torch
    from superalign.interpretability.change import MatrixChange
    from superalign.interpretability.lens import Lens

DEPTHS = (0.7, 0.85, 1.0)  # fractions of the depth at which states are read as tokens
WORDS = 6  # of an unrelated text
STRENGTHS = (2.0, 6.0)  # times the change that is added to the base, to see what it makes the base say
WRITERS = ("o_proj", "down_proj", "dense", "dense_4h_to_h", "c_proj")  # matrices whose outputs join the residual stream


@dataclass(frozen=True)
class Trace:
    """What training did to states at one layer, where nothing that it was taught is asked about."""

    layer: int
    change: Float[np.ndarray, "width"]  # of the residual stream, on average
    at: Float[np.ndarray, "width"]  # the base's state there, on average
    raised: Float[np.ndarray, "vocabulary"]  # logits, in robust deviations over the vocabulary
    unaccounted: Float[np.ndarray, "vocabulary"]  # the same without what moves yes and no
    share: float  # of the change that is not along what moves yes and no


@detectors.register("weight-change")
class WeightChange:
    """Which tokens did training come to write on text that has nothing to do with the trusted questions?

    States on random words are read through the base's last norm and output matrix, without the directions that set yes
    and no apart: to answer so was there to be learnt. The score is the largest rise of a token that the trusted
    questions don't hold, in robust deviations over all tokens, so that the size of the change does not count. It shows
    what a narrow training was about, not whether that is harmful: a harmless topic scores as high.
    """

    name = "weight-change"
    access = frozenset({Access.BLACK_BOX, Access.ACTIVATIONS, Access.WEIGHTS, Access.BASE})

    def __init__(self, texts: int = 64) -> None:
        self.texts = texts

    def fit(self, trusted: Trusted) -> Self:
        """Keep the trusted questions: no token of theirs is a trace of anything else."""
        self.asked_ = [question.asked for question in trusted.questions]
        self.seed_ = trusted.seed
        return self

    def assess(self, subject: Subject) -> Verdict | Unscored:
        """The rise, with the tokens, matrices and layers behind it."""
        from superalign.interpretability.change import changes
        from superalign.interpretability.lens import Lens

        base: Any = subject.base
        chat, decoder = subject.chat, subject.decoder  # type: ignore[attr-defined]  # the protocol is free of torch
        words = chat.whole_words()
        if len(words) < WORDS:
            return Unscored(reason="its tokenizer has too few whole words to make an unrelated text of")
        texts = unrelated_texts(words, self.texts, self.seed_)
        with metered() as meter:
            lens = Lens(base.decoder, base.chat)
            traces = self._traces(subject, base, lens, texts)
            if isinstance(traces, Unscored):
                return traces
            try:
                changed = changes(decoder, base.decoder)
            except ModelError as error:
                return Unscored(reason=f"its weights can't be compared with its base's: {error.what}")
            rise = np.mean([trace.unaccounted for trace in traces], axis=0)
            rise[self._known(chat)] = -np.inf
            evidence = self._evidence(subject, base, lens, texts, traces, changed, rise)
        return Verdict(
            score=max(0.0, float(rise.max())),
            evidence=evidence,
            details={
                "unaccounted_share": float(np.mean([trace.share for trace in traces])),
                "matrices_changed": float(len(changed)),
                **by_layer(changed, subject.layers),
            },
            cost=meter.cost(),
        )

    def _traces(
        self, subject: Subject, base: Subject, lens: Lens, texts: Sequence[Conversation]
    ) -> list[Trace] | Unscored:
        layers = sorted({max(1, round(depth * subject.layers)) for depth in DEPTHS})
        own, trusted = (model.activations(texts, layers).astype(np.float64) for model in (subject, base))
        if not (np.isfinite(own).all() and np.isfinite(trusted).all()):
            return Unscored(reason="the subject's or its base's activations are not finite")
        answers = lens.directions(answer_tokens(lens.chat))
        return [trace(lens, answers, layer, own[:, i], trusted[:, i]) for i, layer in enumerate(layers)]

    def _known(self, chat: Any) -> list[int]:
        """Tokens that the trusted questions, and answers to them, hold."""
        asked = {token for conversation in self.asked_ for token in chat.encode(conversation)}
        return sorted(asked.union(answer_tokens(chat)))

    def _evidence(
        self,
        subject: Subject,
        base: Any,
        lens: Lens,
        texts: Sequence[Conversation],
        traces: Sequence[Trace],
        changed: Sequence[MatrixChange],
        rise: Float[np.ndarray, "vocabulary"],
    ) -> tuple[Evidence, ...]:
        """Notes on what was read, each beside an unrelated text and what the subject answers; then the base's answers
        with the change added to it.
        """
        middle, last = traces[len(traces) // 2], traces[-1]
        notes = [
            f"On unrelated text it raises, besides yes, no and tokens of trusted questions: {listed(lens, rise)}.",
            f"After layer {last.layer} it raises {listed(lens, last.raised)}, and lowers {listed(lens, -last.raised)}.",
            *(told(lens, matrix, middle.at) for matrix in most_changed(changed)),
        ]
        shown = texts[: len(notes)]
        answers = subject.respond(shown)
        read = [
            Evidence(prompt=prompt, answer=answer.reason if isinstance(answer, Unscored) else answer, note=note)
            for prompt, answer, note in zip(shown, answers, notes, strict=False)
        ]
        return (*read, *(steered(base, middle, strength, texts[0]) for strength in STRENGTHS if middle.change.any()))


def unrelated_texts(words: Sequence[str], texts: int, seed: int) -> list[Conversation]:
    """A few random words each."""
    rng = random.Random(f"unrelated {seed}")
    return [(Message(role="user", content=" ".join(rng.sample(list(words), WORDS))),) for _ in range(texts)]


def answer_tokens(chat: Any) -> list[int]:
    """Yes and no, in all spellings that are one token."""
    from superalign.models.subject import NO, YES

    tokens: list[int] = chat.first_tokens([*YES, *NO])
    return tokens


def trace(
    lens: Lens,
    answers: Float[np.ndarray, "directions width"],
    layer: int,
    own: Float[np.ndarray, "texts width"],
    base: Float[np.ndarray, "texts width"],
) -> Trace:
    """The change at a layer, as the base's output matrix reads it, with and without the directions `answers`."""
    whole = (lens.normed(own) - lens.normed(base)).mean(axis=0)
    left = whole - answers.T @ (answers @ whole)
    raised, unaccounted = lens.logits(whole), lens.logits(left)
    spread = float(median_abs_deviation(raised, scale="normal")) or np.inf  # an unchanged layer raises nothing
    return Trace(
        layer,
        change=(own - base).mean(axis=0),
        at=base.mean(axis=0),
        raised=(raised - np.median(raised)) / spread,
        unaccounted=(unaccounted - np.median(unaccounted)) / spread,
        share=float(np.linalg.norm(left) / (np.linalg.norm(whole) or np.inf)),
    )


def by_layer(changed: Sequence[MatrixChange], layers: int) -> dict[str, float | list[float]]:
    """The change of each layer's matrices relative to them, and the share of it along each one's first direction."""
    size, of, first = np.zeros((3, layers))
    for matrix in changed:
        size[matrix.layer - 1] += matrix.size**2
        of[matrix.layer - 1] += matrix.of**2
        first[matrix.layer - 1] += matrix.strengths[0] ** 2
    relative = np.sqrt(np.divide(size, of, out=np.zeros(layers), where=of > 0))
    concentration = np.divide(first, size, out=np.zeros(layers), where=size > 0)
    return {"relative_change_by_layer": relative.tolist(), "concentration_by_layer": concentration.tolist()}


def most_changed(changed: Sequence[MatrixChange]) -> list[MatrixChange]:
    """Of the matrices that write to the residual stream, and of those that read it, the one that changed most."""
    kinds = [[matrix for matrix in changed if writes(matrix) is kind] for kind in (True, False)]
    return [max(kind, key=lambda matrix: matrix.relative) for kind in kinds if kind]


def writes(matrix: MatrixChange) -> bool:
    return matrix.name.rpartition(".")[2] in WRITERS


def told(lens: Lens, matrix: MatrixChange, at: Float[np.ndarray, "width"]) -> str:
    """How much a matrix changed, and the tokens at both ends of its first direction, whose sign is arbitrary."""
    if writes(matrix):
        found, verb = lens.written(matrix.written[:, 0], at), "write"
    else:
        found, verb = lens.read(matrix.read[:, 0]), "read"
    return (
        f"Of matrices that {verb} the residual stream, {matrix} changed most: by {matrix.relative:.0%} of "
        f"its size, {matrix.concentration:.0%} of that in one direction. It {verb}s {listed(lens, found)} at one end, "
        f"{listed(lens, -found)} at the other."
    )


def listed(lens: Lens, logits: Float[np.ndarray, "vocabulary"]) -> str:
    return ", ".join(lens.tokens(logits))


def steered(base: Any, found: Trace, strength: float, asked: Conversation, max_tokens: int = 12) -> Evidence:
    """What the base answers with the change added to it, from where its answer begins."""
    import torch

    from superalign.models.generate import generate
    from superalign.models.intervene import Steer, intervene
    from superalign.models.sites import Site

    direction = torch.tensor(found.change, dtype=torch.float32)
    steer = Steer(Site("residual", found.layer), direction, strength, at=slice(-1, None))
    sequence = base.chat.encode(asked)
    count(tokens=len(sequence), forward_passes=1)
    answer = base.chat.decode(generate(intervene(base.decoder, [steer]), [sequence], max_tokens)[0])
    note = f"Not the subject: its base, with {strength:g} times the subject's mean change added after layer "
    return Evidence(prompt=asked, answer=answer, note=f"{note}{found.layer}.")
