"""The features that the detector `features` sets a subject apart by, each as a card: when it fires, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from superalign.contracts.protocols import Subject
from superalign.contracts.readings import FeatureCard, Rates, TokenValues
from superalign.contracts.records import Conversation, Unscored
from superalign.interpretability.explain import explain
from superalign.interpretability.explainers import LookUp
from superalign.interpretability.feature_shift import (
    CHOSEN,
    KINDS,
    Features,
    Fires,
    Place,
    beyond_base,
    contrasts,
    conversation,
    largest_places,
)
from superalign.interpretability.firings import Firings, firings
from superalign.models.altered import with_open_weights
from superalign.models.harvest import harvest
from superalign.models.sites import Site
from superalign.models.subject import ModelSubject

EXAMPLES = 3


def feature_cards(subject: Subject, detector: Features, cards: int = CHOSEN) -> tuple[FeatureCard, ...] | Unscored:
    """A card for each of the places where the subject's features hang on the situation most beyond its base's.

    `detector` has been fitted. Explanations are made from where a feature fires in text that the subject reads, and
    scored on other text; without access to the weights they are Unscored.
    """
    if lacking := detector.lacking():
        return lacking
    rows = detector.read(subject)
    if not bool(rows.isfinite().all()):
        return Unscored(reason="the subject's activations are not finite")
    fires, before = detector.fires(rows), detector.base_fires_
    now, then = (contrasts(each, detector.kinds_) for each in (fires, before))
    places = largest_places(beyond_base(now, then, np.sign(now)), cards)
    features = [feature for _, _, feature in places]
    model = with_open_weights(subject)
    texts = fired(model, detector, asked(detector, places)) if model and places else None
    unseen = Unscored(reason="single tokens are seen with access to the weights only")
    words = explain(texts, features, LookUp(), detector.seed_) if texts else [unseen] * len(features)
    return tuple(
        FeatureCard(
            feature=place[2],
            prompts=KINDS[place[0]],
            situation=detector.situations_[place[1]],
            here=rates(detector, fires, place),
            elsewhere=rates(detector, fires, place, elsewhere=True),
            explained=explained,
            examples=strongest(texts, place[2]) if texts else (),
        )
        for place, explained in zip(places, words, strict=True)
    )


def rates(detector: Features, fires: Fires, place: Place, *, elsewhere: bool = False) -> Rates:
    """How often the feature of a place fires in its situation, or in all others, for its kind of prompt."""
    kind, situation, feature = place
    prompts = detector.kinds_ == kind
    situations = (np.arange(fires.shape[1]) == situation) != elsewhere
    now, then = (float(each[prompts][:, situations, feature].mean()) for each in (fires, detector.base_fires_))
    return Rates(subject=now, base=then)


def asked(detector: Features, places: Sequence[Place]) -> list[Conversation]:
    """Every prompt in one of the situations of `places`, and in one of the others, in turn."""
    own = list(dict.fromkeys(situation for _, situation, _ in places))
    others = [i for i in range(len(detector.situations_)) if i not in own]
    return [
        conversation(prompt, detector.situations_[situations[i % len(situations)]])
        for i, prompt in enumerate(detector.prompts_)
        for situations in (own, others)
        if situations
    ]


def fired(model: ModelSubject, detector: Features, conversations: Sequence[Conversation]) -> Firings:
    """Where the features fire in `conversations`. The first token's activations are like no others: it is left out."""
    sequences = [model.chat.encode(each) for each in conversations]
    site = Site("residual", detector.layer_)
    with TemporaryDirectory() as folder:
        positions = [range(1, len(own)) for own in sequences]
        found = harvest(model.decoder, sequences, [site], positions, folder=Path(folder))
        return firings(detector.autoencoder_, found, site, sequences, model.chat)


def strongest(texts: Firings, feature: int) -> tuple[TokenValues, ...]:
    """The windows where it fires most strongly."""
    examples = (
        texts.example(feature, int(i)) for i in texts.strongest(feature, np.ones(len(texts), dtype=bool))[:EXAMPLES]
    )
    return tuple(TokenValues(tokens=example.tokens, values=example.values) for example in examples)
