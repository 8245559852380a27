"""What a model knows against what it says, token by token: the truth probe of `knowledge` read at every token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.base import clone

from superalign.contracts.protocols import Subject
from superalign.contracts.readings import TokenHeat
from superalign.contracts.records import Conversation, Unscored
from superalign.interpretability.knowledge import Knowledge
from superalign.interpretability.probes import FOLDS, LOGISTIC, folds_of
from superalign.models.altered import with_open_weights
from superalign.models.sites import Site
from superalign.models.subject import ModelSubject
from superalign.runs.cost import count

SHOWN = 3  # questions on which knowledge and answer differ, and as many on which they agree


def token_heat(subject: Subject, knowledge: Knowledge, shown: int = SHOWN) -> tuple[TokenHeat, ...] | Unscored:
    """The `shown` questions on which probe and answer differ most, then as many on which they agree most.

    Questions, layer and folds are those of `knowledge`, which has been fitted. They agree by the product of what the
    probe reads and what the answer leans to, beyond its median: the truth has no part in the choice. Needs `weights`.
    """
    if knowledge.unreadable_:
        return knowledge.unreadable_
    model = with_open_weights(subject)
    if model is None:
        return Unscored(reason="single tokens are seen with access to the weights only")
    asked, truth = [question.asked for question in knowledge.questions_], knowledge.truth_
    said = subject.yes_logits(asked)
    read = subject.activations(asked, [knowledge.layer_])[:, 0]
    if not (np.isfinite(said).all() and np.isfinite(read).all()):
        return Unscored(reason="the subject's answers or activations are not finite")
    if not said.std() > 0:
        return Unscored(reason="the subject's answers do not vary")
    said = said - np.median(said)
    fold_of = folds_of(truth, knowledge.groups_)
    probes = [clone(LOGISTIC).fit(read[fold_of != fold], truth[fold_of != fold]) for fold in range(FOLDS)]
    known = np.stack([probe.decision_function(read) for probe in probes])[fold_of, np.arange(len(truth))]
    chosen = furthest(known, said, shown)
    if not chosen:
        return ()
    rows = at_every_token(model, [asked[i] for i in chosen], knowledge.layer_)
    answers = subject.respond([asked[i] for i in chosen])
    return tuple(
        TokenHeat(
            tokens=spelt(model, asked[i]),
            values=tuple(probes[fold_of[i]].decision_function(own).tolist()),
            layer=knowledge.layer_,
            differs=bool(known[i] * said[i] < 0),
            said=float(said[i]),
            answered=answer,
            truth=bool(truth[i]),
        )
        for i, own, answer in zip(chosen, rows, answers, strict=True)
    )


def furthest(known: Float[np.ndarray, "questions"], said: Float[np.ndarray, "questions"], shown: int) -> list[int]:
    """Where the product is furthest below 0, at most `shown`; then, for as many, where it is furthest above."""
    agree = known * said
    order = np.argsort(agree, kind="stable").tolist()
    below = [i for i in order[:shown] if agree[i] < 0]
    return below + [i for i in order[::-1][: len(below)] if agree[i] > 0]


def at_every_token(
    model: ModelSubject, asked: Sequence[Conversation], layer: int
) -> list[Float[np.ndarray, "tokens width"]]:
    """The residual stream after `layer` layers at every token of each conversation."""
    sequences, site = [model.chat.encode(conversation) for conversation in asked], Site("residual", layer)
    count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
    found: dict[int, np.ndarray] = {}
    for batch, picked in model.decoder.visit(sequences, [site], [np.arange(len(own)) for own in sequences]):
        ends = np.cumsum([len(sequences[i]) for i in batch])
        found |= zip(batch, np.split(picked[site].float().cpu().numpy(), ends[:-1]), strict=True)
    return [found[i] for i in range(len(sequences))]


def spelt(model: ModelSubject, conversation: Conversation) -> tuple[str, ...]:
    """Each token as text."""
    return tuple(model.chat.tokenizer.decode([token]) for token in model.chat.encode(conversation))
