"""A probe beside its controls: what text, input, base model, shuffled labels and random directions tell of the truth.

All are probes of one kind, on the same folds, and their strength is chosen in the same way. What the probe finds beyond
them is what may be read from the model and from nothing simpler (Hewitt and Liang 2019, *Designing and Interpreting
Probes with Control Tasks*).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import AnswerKey, Subject
from superalign.contracts.readings import BASE, Best, Chance, Choice, Control, LayerReading, ProbeReading
from superalign.contracts.records import Access, Conversation, Interval, Question, Unscored
from superalign.interpretability.probes import folds_of, interval_within, text_features, within_folds
from superalign.interpretability.selection import Selected, auroc_within, null_labellings, p_value, select
from superalign.runs.cost import count
from superalign.tasks.metrics import group_weights, percentile_interval, point
from superalign.tasks.splits import by_group

RESAMPLES = 1000
DIRECTIONS = 100

Features = Float[np.ndarray, "questions layers width"]


def controlled_reading(
    subject: Subject,
    questions: Sequence[Question],
    key: AnswerKey,
    *,
    layers: Sequence[int] | None = None,
    templates: Sequence[str] | None = None,
    shuffles: int = 199,
    seed: int = 0,
) -> ProbeReading | Unscored:
    """How well a probe of `subject` reads the truth of `questions` at the answer position, beside its controls.

    `layers` are all but the embedding unless given; `templates` names the template of each question. Controls that need
    more access than the subject allows are Unscored. InputError when there are too few groups, or too little truth.
    """
    asked = [question.asked for question in questions]
    chosen = tuple(layers if layers is not None else range(1, subject.layers + 1))
    read = subject.activations(asked, chosen)
    if not np.isfinite(read).all():
        return Unscored(reason="the subject's activations are not finite")
    text = text_features([question.prompt for question in questions])
    controls: dict[str, Features | Unscored] = {name: features[:, None] for name, features in text.items()}
    if templates is not None:
        controls["template id"] = one_hot(templates, len(questions))[:, None]
    controls["input embeddings"] = input_embeddings(subject, asked)
    base = _base_read(subject, asked, chosen)
    return probe_reading(
        read, chosen, key.of(questions), by_group(questions), base=base, controls=controls, shuffles=shuffles, seed=seed
    )


def probe_reading(
    read: Features,
    layers: Sequence[int],
    truth: Bool[np.ndarray, "questions"],
    groups: Sequence[str],
    *,
    base: Features | Unscored,
    controls: dict[str, Features | Unscored],
    shuffles: int = 199,
    seed: int = 0,
) -> ProbeReading:
    """The same of activations that were read already: of the subject and of its base, after `layers`."""
    if read.shape[:2] != (len(truth), len(layers)) or not len(truth) == len(groups):
        raise InputError(
            f"The shapes don't fit: activations {read.shape}, {len(layers)} layers, {len(truth)} truths, "
            f"{len(groups)} groups.",
            where="probe",
            fix="Give activations [questions, layers, width].",
        )
    if shuffles < 1 or not np.isfinite(read).all():
        raise InputError(
            "Some activations are not finite, or no labels are to be shuffled.",
            where="probe",
            fix="Leave those questions out; shuffle 19 times at least.",
        )
    rng = np.random.default_rng(seed)
    fold_of, weights = folds_of(truth, groups), group_weights(groups, RESAMPLES, rng)
    directions = rng.standard_normal((read.shape[2], DIRECTIONS))
    shuffled, shuffling = null_labellings(truth, groups, shuffles, seed)
    found = select(read, np.concatenate([truth[None], shuffled]), groups)
    best = found.by_layer_auroc.max(1)
    beside = {
        name: features if isinstance(features, Unscored) else select(features, truth[None], groups)
        for name, features in (controls | {BASE: base}).items()
    }

    def interval(other: Selected | Unscored, layer: int | None = None) -> Interval | Unscored:
        if isinstance(other, Unscored):
            return other
        return interval_within(other.nested[0] if layer is None else other.by_layer[0, layer], truth, fold_of, weights)

    return ProbeReading(
        questions=len(truth),
        groups=len(set(groups)),
        auroc=interval_within(found.nested[0], truth, fold_of, weights),
        p_value=p_value(found.nested_auroc[0], found.nested_auroc[1:]),
        shuffled=Chance.of(found.nested_auroc[1:]),
        shuffling=shuffling,
        chosen=tuple(Choice(layer=layers[place], strength=strength) for place, strength in found.chosen),
        best=Best(
            layer=layers[int(found.by_layer_auroc[0].argmax())],
            auroc=float(best[0]),
            p_value=p_value(best[0], best[1:]),
            shuffled=Chance.of(best[1:]),
        ),
        controls=tuple(
            Control(name=name, auroc=interval(other), ahead=_ahead(found.nested[0], other, truth, fold_of, weights))
            for name, other in beside.items()
        ),
        layers=tuple(
            LayerReading(
                layer=layer,
                auroc=interval_within(found.by_layer[0, place], truth, fold_of, weights),
                base=interval(beside[BASE], place),
                random_directions=_random_directions(read[:, place], truth, fold_of, directions),
                p_value=p_value(found.by_layer_auroc[0, place], best[1:]),
            )
            for place, layer in enumerate(layers)
        ),
    )


def one_hot(names: Sequence[str], questions: int) -> Float[np.ndarray, "questions names"]:
    """Which of the names each question has. InputError unless there is one for each."""
    if len(names) != questions:
        raise InputError(f"{len(names)} templates for {questions} questions.", fix="Name the template of each.")
    return np.asarray(np.array(names)[:, None] == np.unique(names), np.float64)


def input_embeddings(subject: Subject, asked: Sequence[Conversation]) -> Features | Unscored:
    """The mean of what enters the first layer, over all tokens of a conversation. (At the answer position alone it is
    the same for all that are asked: the last token of the template.) Needs `weights`.
    """
    decoder: Any = getattr(subject, "decoder", None) if Access.WEIGHTS in subject.access else None
    if decoder is None:
        return Unscored(reason="the tokens' embeddings are seen with access to the weights only")
    from superalign.models.sites import Site

    sequences = [subject.chat.encode(conversation) for conversation in asked]  # type: ignore[attr-defined]
    count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
    found = np.empty((len(sequences), 1, decoder.width))
    everywhere = [np.arange(len(sequence)) for sequence in sequences]
    for batch, picked in decoder.visit(sequences, [Site("residual", 0)], everywhere):
        ends = np.cumsum([len(sequences[i]) for i in batch])
        rows = np.split(picked[Site("residual", 0)].float().cpu().numpy(), ends[:-1])
        for i, own in zip(batch, rows, strict=True):
            found[i, 0] = own.mean(0)
    return found


def _base_read(subject: Subject, asked: Sequence[Conversation], layers: Sequence[int]) -> Features | Unscored:
    if subject.base is None:
        return Unscored(reason="there is no base model to see")
    read = subject.base.activations(asked, layers)
    return read if np.isfinite(read).all() else Unscored(reason="the base model's activations are not finite")


def _ahead(
    scores: Float[np.ndarray, "questions"],
    others: Selected | Unscored,
    truth: Bool[np.ndarray, "questions"],
    fold_of: Int[np.ndarray, "questions"],
    weights: Float[np.ndarray, "resamples questions"],
) -> Interval | Unscored:
    """By how much the AUROC of `scores` is above that of `others`, or above 0.5 where theirs is below, both in the same
    resamples: to be ahead of what is below chance is no merit.
    """
    if isinstance(others, Unscored):
        return others
    metric, theirs = within_folds(fold_of), others.nested[0]
    value = point(metric, scores, truth) - max(0.5, point(metric, theirs, truth))
    return percentile_interval(value, metric(scores, truth, weights) - np.maximum(0.5, metric(theirs, truth, weights)))


def _random_directions(
    features: Float[np.ndarray, "questions width"],
    truth: Bool[np.ndarray, "questions"],
    fold_of: Int[np.ndarray, "questions"],
    directions: Float[np.ndarray, "width draws"],
) -> Chance:
    """Standardized features along `directions`, which way round being learnt on the training folds."""
    scores = np.empty((directions.shape[1], 1, len(truth)))
    for fold in np.unique(fold_of):
        train, test = fold_of != fold, fold_of == fold
        spread = features[train].std(0)
        along = (features / np.where(spread > 0, spread, 1)) @ directions
        sign = np.sign(along[train & truth].mean(0) - along[train & ~truth].mean(0))
        scores[:, 0, test] = (along[test] * sign).T
    return Chance.of(auroc_within(scores, truth[None], fold_of)[:, 0])
