"""What features mean, in words, and how far the words hold: detection and fuzzing scores beside a permuted null.

Paulo et al. 2024, Automatically Interpreting Millions of Features in Large Language Models (arXiv 2410.13928). An
explanation is made from some conversations and scored on others. *Detection*: does it tell windows where the feature
fires from windows where it does not? *Fuzzing*: does it tell windows whose marked tokens are those where it fires from
the same with as many other tokens marked? Both by balanced accuracy, of which a coin has 0.5. But so has an explanation
of another feature not always: much text is alike. So each feature is also scored with another one's explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from superalign.contracts.readings import Explained, Score
from superalign.contracts.records import Interval, Unscored
from superalign.interpretability.firings import Example, Firings
from superalign.tasks.metrics import percentile_interval

ENOUGH = 5  # windows, of each kind, to explain by or to score on
RESAMPLES = 2000


@dataclass(frozen=True)
class Marked:
    """Tokens, some of them marked; none where the question is whether the feature fires here at all."""

    tokens: tuple[str, ...]
    marks: tuple[bool, ...] = ()


class Explainer(Protocol):
    """Puts a feature into words, and says by words alone where it fires."""

    def explain(self, firing: Sequence[Example], quiet: Sequence[Example]) -> str | Unscored:
        """What windows where it fires have in common, beside some where it does not."""
        ...

    def recognize(self, explanation: str, shown: Sequence[Marked]) -> list[bool | Unscored]:
        """Of each window: does a feature so explained fire at the marked tokens, or where none are, anywhere?"""
        ...


@dataclass(frozen=True)
class Amounts:
    """Windows where the feature fires and as many where it does not: `shown` to explain by, `scored` to score on."""

    shown: int = 20
    scored: int = 20


def explain(
    found: Firings, features: Sequence[int], explainer: Explainer, seed: int = 0, amounts: Amounts | None = None
) -> list[Explained | Unscored]:
    """Each of `features` explained and scored, the same for the same seed; `Unscored` where it has too few examples or
    nobody found words for it.
    """
    amounts, rng = amounts or Amounts(), np.random.default_rng(seed)
    shown, scored = found.halves(rng)
    texts: dict[int, str] = {}
    failed: dict[int, Unscored] = {}
    for feature in features:
        few = [len(found.strongest(feature, half)) for half in (shown, scored)]
        if min(few) < ENOUGH:
            reason = f"it fires in {few[0]} windows to explain it by and {few[1]} to score on; {ENOUGH} are needed"
            failed[feature] = Unscored(reason=reason)
            continue
        firing = found.by_quantile(feature, shown, amounts.shown, rng)
        quiet = found.quiet(feature, shown, amounts.shown, rng)
        text = explainer.explain(*([found.example(feature, i) for i in part] for part in (firing, quiet)))
        if isinstance(text, Unscored):
            failed[feature] = text
        else:
            texts[feature] = text
    others = permuted(texts, rng)
    return [
        failed[feature]
        if feature in failed
        else Explained(
            feature=feature,
            rate=float(found.rates[feature]),
            explanation=texts[feature],
            **{
                name: scored_by(explainer, texts[feature], others.get(feature), *items)
                for name, items in (
                    ("detection", detection_items(found, feature, scored, amounts.scored, rng)),
                    ("fuzzing", fuzzing_items(found, feature, scored, amounts.scored, rng)),
                )
            },
        )
        for feature in features
    ]


def beyond_null(explained: Sequence[Explained | Unscored], name: str, seed: int = 0) -> Interval | Unscored:
    """By how much explanations beat those of other features on average, over the features that have this score
    (`detection` or `fuzzing`), with a bootstrap interval over these.
    """
    scores = [getattr(one, name) for one in explained if isinstance(one, Explained)]
    gains = np.array([score.value - score.null for score in scores if isinstance(score, Score)])
    if len(gains) < 2:
        return Unscored(reason=f"{len(gains)} of {len(explained)} features have a {name} score")
    drawn = np.random.default_rng(seed).integers(len(gains), size=(RESAMPLES, len(gains)))
    return percentile_interval(float(gains.mean()), gains[drawn].mean(axis=1))


def permuted(texts: dict[int, str], rng: np.random.Generator) -> dict[int, str]:
    """For each feature the explanation of another, each used once; nothing where there is no other."""
    order = rng.permutation(list(texts)).tolist()
    return {a: texts[b] for a, b in zip(order, order[1:] + order[:1], strict=True)} if len(order) > 1 else {}


def detection_items(
    found: Firings, feature: int, within: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[list[Marked], list[bool]]:
    """Windows, and whether the feature fires there."""
    chosen = (found.by_quantile(feature, within, count, rng), found.quiet(feature, within, count, rng))
    shown = [Marked(found.example(feature, i).tokens) for part in chosen for i in part]
    return shown, [True] * len(chosen[0]) + [False] * len(chosen[1])


def fuzzing_items(
    found: Firings, feature: int, within: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[list[Marked], list[bool]]:
    """Windows where the feature fires, and whether the marked tokens are where. Those marked wrongly are other windows,
    with as many tokens marked as it fires at, or as there are others.
    """
    shown, right = [], []
    for place, i in enumerate(found.by_quantile(feature, within, 2 * count, rng)):
        example = found.example(feature, i)
        fires = np.array(example.fires)
        if place % 2 and fires.all():
            continue  # there is no wrong way to mark it
        if place % 2:
            others = rng.permutation(np.flatnonzero(~fires))[: fires.sum()]
            fires = np.isin(np.arange(len(fires)), others)
        shown.append(Marked(example.tokens, tuple(fires.tolist())))
        right.append(not place % 2)
    return shown, right


def scored_by(
    explainer: Explainer, text: str, other: str | None, shown: Sequence[Marked], right: Sequence[bool]
) -> Score | Unscored:
    """Both explanations on the same windows."""
    if other is None:
        return Unscored(reason="there is no other explained feature whose explanation could stand for chance")
    found = [balanced_accuracy(explainer.recognize(each, shown), right) for each in (text, other)]
    failed = [each for each in found if isinstance(each, Unscored)]
    return failed[0] if failed else Score(value=found[0], null=found[1])


def balanced_accuracy(said: Sequence[bool | Unscored], right: Sequence[bool]) -> float | Unscored:
    """The mean of both kinds' shares that were told right, over what was answered."""
    told = [(one, truth) for one, truth in zip(said, right, strict=True) if not isinstance(one, Unscored)]
    shares = []
    for kind in (True, False):
        own = [one == truth for one, truth in told if truth is kind]
        if len(own) < ENOUGH:
            return Unscored(reason=f"{len(own)} windows where {kind} is right were judged; {ENOUGH} are needed")
        shares.append(float(np.mean(own)))
    return sum(shares) / 2
