"""Probes of every layer at every strength of regularization at once, out of fold by group.

Each probe is what scikit-learn's StandardScaler and LogisticRegression(C) give, fitted on the training fold. Fitting
them one by one reads the activations some hundred times per probe. Here all strengths and folds of a layer go through
each matrix product together, and one eigendecomposition of the layer's correlations preconditions them all, so that a
dozen iterations do. What is left is near its floor, which is the products: two per iteration of examples x width x
probes, one for the correlations, and the eigendecomposition.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.interpretability.probes import FOLDS
from superalign.tasks.metrics import auroc, point

# scikit-learn's C. Much weaker regularization leaves it to the stopping rule which of many perfect fits comes out.
STRENGTHS = tuple(np.logspace(-4, 1, 10).tolist())
TOLERANCE = 5e-3  # a probe is done when what is left to go is so little of the first Newton step, in its own norm
MAX_ITERATIONS = 500
CURVATURE = 0.1  # of the loss, about: 0.25 at most, and less where a probe is sure
CONSTANT = 1e-7  # share of a feature's variance below which it does not vary in a fold
BLOCK = 144  # features of which products are taken at a time
SMALLEST = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Sweep:
    """Out-of-fold scores (above 0 means true) and their AUROC."""

    logistic: Float[np.ndarray, "layers strengths examples"]
    logistic_auroc: Float[np.ndarray, "layers strengths"]
    mean_difference: Float[np.ndarray, "layers examples"]
    mean_difference_auroc: Float[np.ndarray, "layers"]


@torch.no_grad()
def sweep(
    activations: Float[np.ndarray, "examples layers width"],
    truth: Bool[np.ndarray, "examples"],
    groups: Sequence[str],
    strengths: Sequence[float] = STRENGTHS,
) -> Sweep:
    """Logistic probes of each layer at each of `strengths` (scikit-learn's C), and mean-difference probes.

    InputError when the shapes don't fit, a value is not finite, or a fold would have nothing to learn from.
    """
    fold_of = _folds(activations, truth, groups, strengths)
    examples, layers, _ = activations.shape
    logistic = np.empty((layers, len(strengths), examples), np.float32)
    mean_difference = np.empty((layers, examples), np.float32)
    for layer in range(layers):
        folds = _one_per_fold(activations[:, layer], truth, fold_of)
        mean_difference[layer] = _out_of_fold(folds.logits(_mean_differences(folds)), fold_of)[0]
        probes = folds.at(strengths)
        logistic[layer] = _out_of_fold(probes.logits(_fit(probes)), fold_of)
    return Sweep(logistic, _auroc(logistic, truth), mean_difference, _auroc(mean_difference, truth))


@dataclass(frozen=True)
class _Probes:
    """Probes of one layer, each on the features as its own training fold standardizes them, and a constant 1.

    The features are kept once, standardized over all examples: what a fold's own mean and scale change is linear, so
    it is applied to the weights, which are few, instead of to the features. It leaves no trace in the result.
    """

    features: Float[Tensor, "examples features"]
    truth: Float[Tensor, "examples"]
    share: Float[Tensor, "probes examples"]  # of each example in the mean loss: 0 outside of the training fold
    mean: Float[Tensor, "probes features"]
    scale: Float[Tensor, "probes features"]  # 0 for a feature that does not vary, 1 for the constant
    ridge: Float[Tensor, "probes features"]  # on squared weights, halved; 0 for the constant

    def logits(self, weights: Float[Tensor, "probes features"]) -> Float[Tensor, "probes examples"]:
        scaled = weights * self.scale
        scaled[:, -1] -= (scaled * self.mean).sum(1)
        return scaled @ self.features.T

    def pull(self, residual: Float[Tensor, "probes examples"]) -> Float[Tensor, "probes features"]:
        """The transpose of `logits`: how the weights move when the logits do."""
        pulled = residual @ self.features
        return (pulled - pulled[:, -1:] * self.mean) * self.scale

    def at(self, strengths: Sequence[float]) -> Self:
        """One probe for each strength and each of these, strength by strength."""
        times = len(strengths)
        # scikit-learn weighs the sum of losses by C; here the mean loss has weight 1.
        weakness = 1 / torch.tensor(strengths, dtype=torch.float32).repeat_interleave(len(self.share))
        repeated = {name: getattr(self, name).repeat(times, 1) for name in ("share", "mean", "scale", "ridge")}
        return replace(self, **{**repeated, "ridge": repeated["ridge"] * weakness[:, None]})

    def only(self, kept: Bool[Tensor, "probes"]) -> Self:
        return replace(
            self, share=self.share[kept], mean=self.mean[kept], scale=self.scale[kept], ridge=self.ridge[kept]
        )


def _one_per_fold(
    read: Float[np.ndarray, "examples width"], truth: Bool[np.ndarray, "examples"], fold_of: np.ndarray
) -> _Probes:
    """A probe for each fold, with C = 1."""
    values = torch.from_numpy(np.array(read, np.float32))  # a copy: it is changed in place
    values -= values.mean(0)
    spread = values.square().mean(0).sqrt()
    values /= torch.where(spread > 0, spread, 1)
    trained = torch.from_numpy(fold_of != np.arange(FOLDS)[:, None]).float()
    count = trained.sum(1, keepdim=True)
    mean = trained @ values / count
    variance = trained @ values.square() / count - mean.square()
    scale = torch.where(variance > CONSTANT, variance, torch.inf).rsqrt()
    zeros, ones = torch.zeros_like(count), torch.ones_like(count)
    return _Probes(
        features=torch.cat([values, torch.ones(len(values), 1)], 1),
        truth=torch.from_numpy(truth).float(),
        share=trained / count,
        mean=torch.cat([mean, zeros], 1),
        scale=torch.cat([scale, ones], 1),
        ridge=torch.cat([(ones / count).expand_as(mean), zeros], 1),
    )


def _mean_differences(folds: _Probes) -> Float[Tensor, "folds features"]:
    """From the mean of the false to the mean of the true examples; halfway scores 0."""
    true, false = folds.share * folds.truth, folds.share * (1 - folds.truth)
    true, false = true / true.sum(1, keepdim=True), false / false.sum(1, keepdim=True)
    weights = folds.pull(true - false)
    weights[:, -1] = -(folds.logits(weights) * (true + false) / 2).sum(1)
    return weights


@dataclass(frozen=True)
class _Axes:
    """The principal axes of a layer's features, along which the loss curves independently, for every probe nearly."""

    vectors: Float[Tensor, "features axes"]
    squares: Float[Tensor, "axes"]  # mean square of the features along each

    @classmethod
    def of(cls, features: Float[Tensor, "examples features"]) -> Self:
        varying = features[:, :-1]
        width = varying.shape[1]
        products = torch.zeros(width, width)
        for start in range(0, width, BLOCK):  # eigh reads the lower triangle only
            stop = min(start + BLOCK, width)
            products[start:stop, :stop] = varying[:, start:stop].T @ varying[:, :stop]
        squares, vectors = torch.linalg.eigh(products / len(varying))
        constant = torch.ones(1)  # an axis of its own, since it has no ridge
        return cls(torch.block_diag(vectors, constant[:, None]), torch.cat([squares.clamp_min(0), constant]))

    def newton(
        self, gradient: Float[Tensor, "probes features"], ridge: Float[Tensor, "probes features"]
    ) -> Float[Tensor, "probes features"]:
        """Newton's step uphill, if the loss curved alike everywhere."""
        return (gradient @ self.vectors / (CURVATURE * self.squares + ridge)) @ self.vectors.T


def _fit(probes: _Probes) -> Float[Tensor, "probes features"]:
    """Weights of the logistic probes, by preconditioned nonlinear conjugate gradients (Polak-Ribiere).

    A probe that is done leaves, so that no probe's result hangs on how long another takes.
    """
    axes = _Axes.of(probes.features)
    found, place = torch.zeros_like(probes.mean), torch.arange(len(probes.mean))
    weights, logits = torch.zeros_like(found), torch.zeros_like(probes.share)
    direction, before, size_before = torch.zeros_like(found), torch.zeros_like(found), torch.ones(len(found), 1)
    enough: Tensor | None = None
    for _ in range(MAX_ITERATIONS):
        residual = (torch.sigmoid(logits) - probes.truth) * probes.share
        gradient = probes.pull(residual) + probes.ridge * weights
        newton = axes.newton(gradient, probes.ridge)
        size = _dot(gradient, newton)
        enough = TOLERANCE**2 * size if enough is None else enough
        going = (size > enough)[:, 0]
        if not going.all():
            found[place[~going]] = weights[~going]
            if not going.any():
                return found
            probes = probes.only(going)
            state = (place, weights, logits, direction, gradient, newton, size, before, size_before, enough)
            place, weights, logits, direction, gradient, newton, size, before, size_before, enough = (
                part[going] for part in state
            )
        turn = ((size - _dot(before, newton)) / size_before).clamp_min(0)
        direction = turn * direction - newton
        change = probes.logits(direction)
        step = _step(probes, weights, logits, direction, change)
        weights, logits = weights + step * direction, logits + step * change
        before, size_before = gradient, size
    found[place] = weights
    message = f"{len(place)} of {len(found)} probes have not converged after {MAX_ITERATIONS} iterations."
    warnings.warn(message, ConvergenceWarning, stacklevel=3)
    return found


def _step(
    probes: _Probes,
    weights: Float[Tensor, "probes features"],
    logits: Float[Tensor, "probes examples"],
    direction: Float[Tensor, "probes features"],
    change: Float[Tensor, "probes examples"],
    refinements: int = 3,
) -> Float[Tensor, "probes 1"]:
    """How far to go along `direction`: near the minimum, and never beyond it.

    A logistic loss comes to curve at most e times as much while no logit moves by more than 1 (Bach 2010,
    Self-concordant analysis for logistic regression), which turns Newton's step into one that can't overshoot. Because
    it does not, the next direction of the conjugate gradients is downhill too.
    """
    weighted = change * probes.share
    bend = weighted * change
    reach = torch.where(probes.share > 0, change, 0).abs().amax(1, keepdim=True).clamp_min(SMALLEST)
    pulled = probes.ridge * direction
    ridge_slope, ridge_bend = _dot(pulled, weights), _dot(pulled, direction)
    step = torch.zeros_like(reach)
    for _ in range(refinements):
        chance = torch.sigmoid(logits + step * change)
        slope = _dot(chance - probes.truth, weighted) + ridge_slope + step * ridge_bend
        curvature = _dot(chance * (1 - chance), bend) + ridge_bend
        newton = (-slope / curvature.clamp_min(SMALLEST)).clamp_min(0)
        step = step + torch.log1p(reach * newton) / reach
    return step


def _dot(a: Float[Tensor, "probes axis"], b: Float[Tensor, "probes axis"]) -> Float[Tensor, "probes 1"]:
    return (a * b).sum(1, keepdim=True)


def _out_of_fold(logits: Float[Tensor, "probes examples"], fold_of: np.ndarray) -> Float[np.ndarray, "sets examples"]:
    """Of each set of one probe per fold, the score of each example by the probe that did not see its group."""
    return logits.view(-1, FOLDS, len(fold_of)).numpy()[:, fold_of, np.arange(len(fold_of))]


def _auroc(scores: np.ndarray, truth: Bool[np.ndarray, "examples"]) -> np.ndarray:
    return np.apply_along_axis(lambda each: point(auroc, each, truth), -1, scores)


def _folds(
    activations: Float[np.ndarray, "examples layers width"],
    truth: Bool[np.ndarray, "examples"],
    groups: Sequence[str],
    strengths: Sequence[float],
) -> np.ndarray:
    """In which fold each example is scored. InputError where no probe could be fitted."""
    where = "probe sweep"
    if activations.ndim != 3 or not len(activations) == len(truth) == len(groups):
        shape = f"activations {activations.shape}, {len(truth)} truths, {len(groups)} groups"
        raise InputError(
            f"The shapes don't fit: {shape}.", where=where, fix="Give activations [examples, layers, width]."
        )
    if not strengths or not all(strength > 0 and math.isfinite(strength) for strength in strengths):
        raise InputError("Strengths must be positive numbers.", where=where, fix="Give some, such as [0.001, 0.1].")
    if not np.isfinite(activations).all():
        raise InputError("Some activations are not finite.", where=where, fix="Leave those examples out.")
    if len(set(groups)) < FOLDS:
        raise InputError(
            f"{len(set(groups))} groups can't be divided into {FOLDS} folds.", where=where, fix="Give more groups."
        )
    fold_of = np.empty(len(truth), np.int64)
    for fold, (train, test) in enumerate(GroupKFold(FOLDS).split(truth, truth, np.asarray(groups))):
        fold_of[test] = fold
        if len(set(truth[train].tolist())) == 1:
            raise InputError(
                f"Without fold {fold} all answers are of one class.", where=where, fix="Give more groups with both."
            )
    return fold_of
