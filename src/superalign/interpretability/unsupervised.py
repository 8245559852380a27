"""Directions that are found without labels, from contrast pairs: each question with yes and with no for an answer.

Of two opposite answers one is true, so the truth is a feature that changes sign with the answer. So are others: what is
found is the most salient feature of that kind, whatever it is (Farquhar et al. 2023, arXiv 2312.10029). And a direction
and its opposite are as consistent: the sign is not identified. A reading says both, and has random directions beside
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.covariance import ledoit_wolf
from sklearn.preprocessing import StandardScaler

from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.protocols import Subject
from superalign.contracts.readings import Chance, UnsupervisedReading
from superalign.contracts.records import Message, Question, Unscored
from superalign.interpretability.estimators import FLOOR
from superalign.interpretability.probes import check_comparable, folds_of, interval_within
from superalign.interpretability.selection import auroc_within
from superalign.tasks.metrics import group_weights

Side: TypeAlias = Float[np.ndarray, "pairs width"]
Scorer = Callable[[Side, Side], Float[np.ndarray, "pairs"]]
Method: TypeAlias = Literal["ccs", "contrastive-pca", "relative-contrast"]

RESAMPLES = 1000
DIRECTIONS = 200
RESTARTS = 10
PENALTY = 0.01  # on squared weights, halved: without it, more features than pairs leave the minimum at infinity


def contrast_pairs(
    subject: Subject, questions: Sequence[Question], layers: Sequence[int]
) -> tuple[Float[np.ndarray, "questions layers width"], Float[np.ndarray, "questions layers width"]]:
    """Activations after each question was answered with yes, and with no: where the next answer would begin."""
    yes, no = (
        subject.activations(
            [(*question.asked, Message(role="assistant", content=answer)) for question in questions], layers
        )
        for answer in ("Yes", "No")
    )
    return yes, no


def read_unsupervised(
    method: Method,
    yes: Side,
    no: Side,
    truth: Bool[np.ndarray, "pairs"],
    groups: Sequence[str],
    *,
    labelled: Sequence[int] = (),
    features: Mapping[str, Bool[np.ndarray, "pairs"]] | None = None,
    seed: int = 0,
) -> UnsupervisedReading | Unscored:
    """How well what `method` finds in pairs of other groups tells the truth (`True`: yes is right).

    `truth` is for scoring, and fixes the sign only at the places that `labelled` names, which are not scored. Other
    `features` of the questions may be given, such as which template it is: how well these are told is the way to see
    that something else was found. Unscored where all pairs differ alike. InputError when shapes, values or labels don't
    do.
    """
    _check(method, yes, no, truth, groups, labelled)
    rng, fold_of = np.random.default_rng(seed), folds_of(truth, groups)
    scored = np.ones(len(truth), dtype=bool)
    scored[list(labelled)] = False
    check_comparable(truth[scored], fold_of[scored])
    if not np.ptp(yes - no, axis=0).any():
        return Unscored(reason="all pairs differ alike: there is nothing to find")
    scores, agreement = _out_of_fold(method, yes, no, fold_of, rng)

    def aurocs(scores: Float[np.ndarray, "sets pairs"], labels: Bool[np.ndarray, "pairs"]) -> np.ndarray:
        return auroc_within(scores[:, None, scored], labels[None, scored], fold_of[scored])[:, 0]

    def upright(scores: Float[np.ndarray, "sets pairs"]) -> Float[np.ndarray, "sets pairs"]:
        """With the sign that the labelled pairs say, or the better one."""
        known, told = scores[:, list(labelled)], truth[list(labelled)]
        turned = known[:, told].mean(1) < known[:, ~told].mean(1) if len(labelled) else aurocs(scores, truth) < 0.5
        return np.asarray(np.where(turned[:, None], -scores, scores))

    blind = _random_directions(yes, no, fold_of, rng)
    kept = [group for group, own in zip(groups, scored, strict=True) if own]
    return UnsupervisedReading(
        method=method,
        questions=int(scored.sum()),
        groups=len(set(kept)),
        auroc=interval_within(
            upright(scores[None])[0, scored], truth[scored], fold_of[scored], group_weights(kept, RESAMPLES, rng)
        ),
        sign="fixed" if len(labelled) else "unknown",
        labelled=len(labelled),
        random_directions=Chance.of(aurocs(upright(blind), truth)),
        finds={
            name: float(max(found := aurocs(scores[None], labels)[0], 1 - found))
            for name, labels in ({"truth": truth} | dict(features or {})).items()
        },
        agreement=agreement,
    )


def _out_of_fold(
    method: Method, yes: Side, no: Side, fold_of: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "pairs"], float]:
    """Each pair's score by what was found without its group, and how alike the folds' findings are. Signs of folds
    follow the first one's, by what they say of all pairs.
    """
    scores, first, alike = np.zeros(len(fold_of)), np.zeros(0), []
    for fold in np.unique(fold_of):
        train, test = fold_of != fold, fold_of == fold
        sides = _normalized(yes, train), _normalized(no, train)
        found = METHODS[method](sides[0][train], sides[1][train], rng)(*sides)
        if not len(first):
            first = found
        else:
            constant = found.std() == 0 or first.std() == 0
            alike.append(0.0 if constant else float(np.corrcoef(first, found)[0, 1]))
        scores[test] = found[test] if not alike or alike[-1] >= 0 else -found[test]
    return scores, float(np.abs(alike).mean())


def _normalized(side: Side, train: Bool[np.ndarray, "pairs"]) -> Side:
    """Each side by itself, so that which answer it is can't be read from a pair (Burns et al. 2022, section 2.2)."""
    return np.asarray(StandardScaler().fit(side[train]).transform(side), np.float64)


def contrast_consistent_search(yes: Side, no: Side, rng: np.random.Generator) -> Scorer:
    """CCS: a logistic probe p that is consistent, p(yes) = 1 - p(no), and sure (Burns et al. 2022, arXiv 2212.03827,
    equation 2). The best of several starts, by loss.
    """

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        of_yes, of_no = expit(yes @ weights[1:] + weights[0]), expit(no @ weights[1:] + weights[0])
        excess, lesser = of_yes + of_no - 1, np.minimum(of_yes, of_no)
        pulls = (
            (2 * excess + 2 * lesser * (of_yes < of_no)) * of_yes * (1 - of_yes) / len(yes),
            (2 * excess + 2 * lesser * (of_yes >= of_no)) * of_no * (1 - of_no) / len(yes),
        )
        slope = np.concatenate([[pulls[0].sum() + pulls[1].sum()], pulls[0] @ yes + pulls[1] @ no])
        slope[1:] += PENALTY * weights[1:]
        return float((excess**2 + lesser**2).mean() + PENALTY * weights[1:] @ weights[1:] / 2), slope

    starts = rng.standard_normal((RESTARTS, yes.shape[1] + 1)) / np.sqrt(yes.shape[1])
    found = min((minimize(loss, start, jac=True, method="L-BFGS-B") for start in starts), key=lambda end: end.fun).x
    return lambda yes, no: expit(yes @ found[1:] + found[0]) - expit(no @ found[1:] + found[0])


def contrastive_pca(yes: Side, no: Side, rng: np.random.Generator) -> Scorer:
    """CRC by the top principal component of the pairs' differences (the same, section 3 and appendix)."""
    direction = np.linalg.svd(yes - no, full_matrices=False)[2][0]
    return lambda yes, no: (yes - no) @ direction


def relative_contrast(yes: Side, no: Side, rng: np.random.Generator) -> Scorer:
    """The direction of most variance of differences, relative to that of sums, which consistency wants to be 0: CCS as
    a generalized eigenproblem (Schouten and Bloem 2025, arXiv 2511.02089, ratio-relative contrast).

    The covariance of sums is shrunk as in `DiscriminantProbe`, since with more features than pairs it is singular.
    """
    difference, total = yes - no, yes + no
    inconsistency, _ = ledoit_wolf(total, assume_centered=True)
    inconsistency[np.diag_indices_from(inconsistency)] += FLOOR
    last = yes.shape[1] - 1
    _, vectors = eigh(difference.T @ difference / len(yes), inconsistency, subset_by_index=[last, last])
    return lambda yes, no: (yes - no) @ vectors[:, 0]


METHODS: dict[Method, Callable[[Side, Side, np.random.Generator], Scorer]] = {
    "ccs": contrast_consistent_search,
    "contrastive-pca": contrastive_pca,
    "relative-contrast": relative_contrast,
}


def _random_directions(
    yes: Side, no: Side, fold_of: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, "draws pairs"]:
    """Normalized differences along random directions."""
    directions, scores = rng.standard_normal((yes.shape[1], DIRECTIONS)), np.empty((DIRECTIONS, len(yes)))
    for fold in np.unique(fold_of):
        train, test = fold_of != fold, fold_of == fold
        difference = _normalized(yes, train) - _normalized(no, train)
        scores[:, test] = (difference[test] @ directions).T
    return scores


def _check(
    method: str,
    yes: Side,
    no: Side,
    truth: Bool[np.ndarray, "pairs"],
    groups: Sequence[str],
    labelled: Sequence[int],
) -> None:
    where = "contrast pairs"
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if yes.ndim != 2 or yes.shape != no.shape or not len(yes) == len(truth) == len(groups):
        raise InputError(
            f"The shapes don't fit: yes {yes.shape}, no {no.shape}, {len(truth)} truths, {len(groups)} groups.",
            where=where,
            fix="Give [pairs, width] of one layer for both.",
        )
    if not (np.isfinite(yes).all() and np.isfinite(no).all()):
        raise InputError("Some activations are not finite.", where=where, fix="Leave those pairs out.")
    if len(labelled) and len(set(truth[list(labelled)].tolist())) < 2:
        raise InputError(
            "The labelled pairs have one answer only, which fixes no sign.", where=where, fix="Name some of both."
        )
