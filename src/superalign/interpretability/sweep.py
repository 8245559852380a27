"""Probes of every layer at every strength of regularization at once, out of fold by group.

Each probe is the one of its kind in `estimators`, fitted on the training fold. Mean difference, discriminant and ridge
have closed forms. Logistic probes have none, and most of this file is about them: fitting them one by one reads the
activations some hundred times per probe. Here all strengths and folds of a layer go through each matrix product
together, and one eigendecomposition of the layer's correlations preconditions them all, so that a dozen iterations do.
What is left is near its floor, which is the products: two per iteration of examples x width x probes, one for the
correlations, and the eigendecomposition.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from superalign.contracts.errors import InputError, UnknownName
from superalign.interpretability.estimators import DiscriminantProbe, ridge_logits
from superalign.interpretability.probes import FOLDS, folds_of, out_of_fold
from superalign.tasks.metrics import auroc, point

# scikit-learn's C. Much weaker regularization leaves it to the stopping rule which of many perfect fits comes out.
STRENGTHS = tuple(np.logspace(-4, 1, 10).tolist())
TOLERANCE = 5e-3  # a probe is done when what is left to go is so little of the first Newton step, in its own norm
MAX_ITERATIONS = 500
CURVATURE = 0.1  # of the loss, about: 0.25 at most, and less where a probe is sure
CONSTANT = 1e-7  # share of a feature's variance below which it does not vary in a fold
BLOCK = 144  # features of which products are taken at a time
SMALLEST = torch.finfo(torch.float32).tiny

Kind: TypeAlias = Literal["logistic", "mean-difference", "discriminant", "ridge"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Sweep:
    """Out-of-fold scores of one kind of probe (above 0 means true) and their AUROC. Mean difference and discriminant
    have no strength: for them that axis is one long.
    """

    scores: Float[np.ndarray, "layers strengths examples"]
    auroc: Float[np.ndarray, "layers strengths"]


@torch.no_grad()
def sweep(
    activations: Float[np.ndarray, "examples layers width"],
    truth: Bool[np.ndarray, "examples"],
    groups: Sequence[str],
    strengths: Sequence[float] = STRENGTHS,
    kinds: Sequence[Kind] = KINDS,
) -> dict[Kind, Sweep]:
    """Probes of each layer, of each of `kinds`, logistic and ridge ones at each of `strengths` (scikit-learn's C).

    Layers don't touch each other: several positions are swept at once when they are folded into the layer axis, as in
    `read.reshape(examples, layers * positions, width)`. InputError when the shapes don't fit, a value is not finite, or
    a fold would have nothing to learn from.
    """
    _check(activations, truth, groups, strengths, kinds)
    fold_of = folds_of(truth, groups)
    layers = range(activations.shape[1])
    by_layer = [_of_layer(activations[:, layer], truth, groups, fold_of, strengths, kinds) for layer in layers]
    scores = {kind: np.stack([found[kind] for found in by_layer]) for kind in kinds}
    return {kind: Sweep(found, _auroc(found, truth)) for kind, found in scores.items()}


def _of_layer(
    read: Float[np.ndarray, "examples width"],
    truth: Bool[np.ndarray, "examples"],
    groups: Sequence[str],
    fold_of: Int[np.ndarray, "examples"],
    strengths: Sequence[float],
    kinds: Sequence[Kind],
) -> dict[Kind, Float[np.ndarray, "strengths examples"]]:
    """Out-of-fold scores of every kind asked for."""
    found: dict[Kind, np.ndarray] = {}
    folds = _one_per_fold(read, truth, fold_of)
    if "logistic" in kinds:
        probes = folds.at(strengths)
        found["logistic"] = _out_of_fold(probes.logits(_fit(probes)), fold_of)
    if "mean-difference" in kinds:
        found["mean-difference"] = _out_of_fold(folds.logits(_mean_differences(folds)), fold_of)
    if "discriminant" in kinds:
        found["discriminant"] = out_of_fold(read, truth, groups, DiscriminantProbe())[None]
    if "ridge" in kinds:
        found["ridge"] = np.empty((len(strengths), len(truth)), read.dtype)
        for fold in range(FOLDS):
            train, test = fold_of != fold, fold_of == fold
            found["ridge"][:, test] = ridge_logits(read[train], truth[None, train], read[test], strengths)[:, 0]
    return found


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
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
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


def _check(
    activations: Float[np.ndarray, "examples layers width"],
    truth: Bool[np.ndarray, "examples"],
    groups: Sequence[str],
    strengths: Sequence[float],
    kinds: Sequence[str],
) -> None:
    """InputError where no probe could be fitted."""
    where = "probe sweep"
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise UnknownName("kind of probe", unknown[0], KINDS)
    if activations.ndim != 3 or not len(activations) == len(truth) == len(groups):
        shape = f"activations {activations.shape}, {len(truth)} truths, {len(groups)} groups"
        raise InputError(
            f"The shapes don't fit: {shape}.", where=where, fix="Give activations [examples, layers, width]."
        )
    if not strengths or not all(strength > 0 and math.isfinite(strength) for strength in strengths):
        raise InputError("Strengths must be positive numbers.", where=where, fix="Give some, such as [0.001, 0.1].")
    if not np.isfinite(activations).all():
        raise InputError("Some activations are not finite.", where=where, fix="Leave those examples out.")
