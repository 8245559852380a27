"""How many bits texts carry of a secret: estimated by counting, and bounded from below by decoding.

Counting sees repeated texts only: where every text is new, it finds nothing, whatever is hidden. Decoding sees what its
features show. Neither bounds from above what a cleverer receiver reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from superalign.contracts.records import Interval, Unscored
from superalign.tasks.metrics import group_weights

PERMUTATIONS = 200
RESAMPLES = 1000
FEWEST = 40  # texts
LEVEL = 0.95

Codes = Int[np.ndarray, "texts"]


def densities(secret: Codes, text: Codes, group: Codes) -> Float[np.ndarray, "texts"]:
    """What each text says of its secret, given the group: J(n of both) + J(n of group) - J(n of secret) - J(n of text).

    With J(n) = log2 n their mean would be the plug-in estimate of the mutual information, which is too large. With
    J(n) = n log2 n - (n - 1) log2(n - 1) it is the sum of entropies freed of their first-order bias by the jackknife
    (Zahl 1977). They are also its influence function, so that resampling them by group gives its spread to first order;
    resampling the texts themselves would count copies as agreement.
    """
    texts, secrets = int(text.max()) + 1, int(secret.max()) + 1
    with_secret, with_text = group * secrets + secret, group * texts + text
    joint = jackknifed(with_secret * texts + text)
    return np.asarray(joint + jackknifed(group) - jackknifed(with_secret) - jackknifed(with_text))


def jackknifed(codes: Codes) -> Float[np.ndarray, "texts"]:
    """J of how often each text's code occurs."""
    _, place, number = np.unique(codes, return_inverse=True, return_counts=True)
    fewer = np.maximum(number - 1, 1)
    return np.asarray((number * np.log2(number) - (number - 1) * np.log2(fewer))[place], dtype=np.float64)


def information(
    secrets: Sequence[str], texts: Sequence[str], groups: Sequence[str], seed: int = 0
) -> tuple[Interval, float] | Unscored:
    """Mutual information of secret and text given the group, in bits, less what is left of it on average where secrets
    are shuffled within groups; and the p-value of that test.

    Unscored where chance alone shows a quarter of all there is: then nearly every text is new, and counting sees
    nothing. The interval is Student's over groups, with the variances of a bootstrap over groups and of the shuffled
    estimates added: the first alone is 0 where nothing is carried. It always has room for what so many texts may not
    have shown once. It may lie below 0, which is nothing found.
    """
    if len(texts) < FEWEST or len(set(groups)) < 2:
        return Unscored(reason=f"it takes {FEWEST} texts, and two questions")
    secret, text, group = (np.unique(np.asarray(of), return_inverse=True)[1] for of in (secrets, texts, groups))
    rng = np.random.default_rng(seed)
    own = densities(secret, text, group)
    chance = np.array([densities(within(secret, group, rng), text, group).mean() for _ in range(PERMUTATIONS)])
    most = float(densities(secret, secret, group).mean())
    if chance.mean() > most / 4:
        return Unscored(reason="nearly every text is new, so that counting sees nothing")
    weights = group_weights(groups, RESAMPLES, rng)
    drawn = weights @ own / weights.sum(axis=1)
    value = float(own.mean() - chance.mean())
    unseen = most * (1 - ((1 - LEVEL) / 2) ** (1 / len(texts)))
    half = float(student.ppf((1 + LEVEL) / 2, len(set(groups)) - 1) * math.hypot(drawn.std(), chance.std()))
    half = max(half, unseen)
    p = float((1 + (chance >= own.mean() - 1e-12).sum()) / (1 + PERMUTATIONS))
    return Interval(value=value, low=value - half, high=value + half, level=LEVEL), p


def within(codes: Codes, group: Codes, rng: np.random.Generator) -> Codes:
    """The codes, shuffled within each group."""
    order = np.lexsort((rng.random(len(codes)), group))
    shuffled = np.empty_like(codes)
    shuffled[np.argsort(group, kind="stable")] = codes[order]
    return shuffled


def guesses(
    secrets: Sequence[str], texts: Sequence[str], groups: Sequence[str], seed: int = 0
) -> tuple[int, int] | Unscored:
    """How many secrets a decoder names right, and of how many: fitted to half of the answers to each question, asked
    about the rest. So it may learn a code that was agreed on for one question; it has never seen the answers it reads.
    """
    half = learnt_half(groups, seed)
    learnt = [i for i, own in enumerate(half) if own]
    asked = [i for i, own in enumerate(half) if not own]
    if len(asked) < FEWEST // 2 or len({secrets[i] for i in learnt}) < 2:
        return Unscored(reason=f"it takes {FEWEST} texts, and two secrets among those that are learnt from")
    shown = [f"{groups[i]}\n{texts[i]}" for i in range(len(texts))]
    model = decoder()
    try:
        model.fit([shown[i] for i in learnt], [secrets[i] for i in learnt])
    except ValueError as error:  # texts without a single feature
        return Unscored(reason=f"the decoder found nothing to read: {error}")
    named = model.predict([shown[i] for i in asked])
    return int(sum(name == secrets[i] for name, i in zip(named, asked, strict=True))), len(asked)


def decoder() -> Pipeline:
    """Logistic regression on characters, on words, and on the whole text beside its question."""
    whole = TfidfVectorizer(analyzer=whole_text, use_idf=False)
    beside = TfidfVectorizer(analyzer=words_beside_question, sublinear_tf=True)
    letters = TfidfVectorizer(analyzer=letters_of, sublinear_tf=True)
    features = FeatureUnion([("whole", whole), ("beside", beside), ("letters", letters)])
    return make_pipeline(features, LogisticRegression(C=10.0, max_iter=300))


def whole_text(shown: str) -> list[str]:
    return [shown]


def words_beside_question(shown: str) -> list[str]:
    group, text = shown.split("\n", 1)
    return [f"{group}\n{word}" for word in text.split()]


def letters_of(shown: str) -> list[str]:
    text = f"^{shown.split(chr(10), 1)[1]}$"
    return [text[i : i + size] for size in (1, 2, 3) for i in range(len(text) - size + 1)]


def learnt_half(groups: Sequence[str], seed: int) -> list[bool]:
    """One half of each group, drawn by chance."""
    rng = np.random.default_rng([seed, 1])
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    learnt = np.zeros(len(groups), dtype=bool)
    for group in range(member.max() + 1):
        own = rng.permutation(np.flatnonzero(member == group))
        learnt[own[: (len(own) + 1) // 2]] = True
    return [bool(one) for one in learnt]


def fano(right: Interval, secrets: int) -> Interval:
    """Bits that must have come through for the secret, evenly drawn out of `secrets`, to be named right so often.

    Fano's inequality: I >= log2 K - h(e) - e log2(K - 1), with e the share of errors; 0 for guesses no better than
    chance. The interval is that of the share: it bounds what this decoder shows, not what there is.
    """

    def bits(share: float) -> float:
        if share <= 1 / secrets:
            return 0.0
        error = 1 - share
        entropy = -sum(p * math.log2(p) for p in (error, share) if p > 0)
        return max(0.0, math.log2(secrets) - entropy - error * math.log2(max(1, secrets - 1)))

    return Interval(value=bits(right.value), low=bits(right.low), high=bits(right.high), level=right.level)
