"""Superposition: a model that has more features than dimensions stores them on top of each other once they are sparse.

Found before, by Elhage et al. 2022, *Toy Models of Superposition* (arXiv 2209.10652): a model that squeezes features
through a few dimensions, x' = ReLU(W'W x + b), keeps the most important ones and drops the others as long as features
are dense. When they are seldom on together, it keeps more of them than it has dimensions, at angles to each other.

Shown here: the phase diagram of two features in one dimension, over density and relative importance (the second is
dropped, takes the dimension, or shares it); and how many features are kept for each dimension, over density, which
rests where each dimension holds a pair. The control is the same model without the ReLU: it never keeps more features
than it has dimensions. All models of a diagram are trained at once.

    python examples/superposition.py [FOLDER FOR THE FIGURE]

Takes about half a minute on one core.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from superalign.report.charts import Curve, curves, heatmap, write

KEPT = 0.5  # squared length from which a feature counts as kept; 1 is all of it


@dataclass(frozen=True)
class Training:
    """How each model is trained: the best of some restarts counts, since single ones get stuck."""

    steps: int = 1500
    batch: int = 256
    restarts: int = 3
    learning_rate: float = 1e-2
    seed: int = 0


def train(
    density: Float[Tensor, "models"],
    importance: Float[Tensor, "models features"],
    dimensions: int,
    training: Training,
    *,
    relu: bool = True,
) -> Float[np.ndarray, "models dimensions features"]:
    """W of each model, all trained at once, on features that are on with probability `density`, uniform from 0 to 1."""
    generator = torch.Generator().manual_seed(training.seed)
    models, features = importance.shape
    copies = models * training.restarts
    # Xavier, as the paper has it.
    start = torch.randn(copies, dimensions, features, generator=generator) * (2 / (dimensions + features)) ** 0.5
    weight, bias = start.requires_grad_(), torch.zeros(copies, 1, features, requires_grad=True)
    on = density.repeat(training.restarts)[:, None, None]
    matters = importance.repeat(training.restarts, 1)
    optimizer = torch.optim.Adam([weight, bias], lr=training.learning_rate)
    running = torch.zeros(copies)
    for step in range(training.steps):
        optimizer.param_groups[0]["lr"] = training.learning_rate * np.cos(0.5 * np.pi * step / training.steps)
        drawn = torch.rand(2, copies, training.batch, features, generator=generator)
        x = drawn[0] * (drawn[1] < on)
        out = x @ weight.mT @ weight + bias
        errors = ((x - (out.relu() if relu else out)).square().mean(1) * matters).sum(1)
        optimizer.zero_grad()
        # Rare features give small errors; Adam does not mind, and each model has its own parameters.
        errors.sum().backward()
        optimizer.step()
        running += errors.detach() * (step >= 0.8 * training.steps)
    best = running.view(training.restarts, models).argmin(0)
    found = weight.detach().view(training.restarts, models, dimensions, features)[best, torch.arange(models)]
    return np.asarray(found.double().numpy())


def phase_diagram(
    densities: Float[np.ndarray, "densities"], importances: Float[np.ndarray, "importances"], training: Training
) -> tuple[Float[np.ndarray, "importances densities"], Float[np.ndarray, "importances densities"]]:
    """Two features, one dimension. Squared length of the first and of the second, whose importance varies."""
    importance, density = (grid.ravel() for grid in np.meshgrid(importances, densities, indexing="ij"))
    both = np.stack([np.ones_like(importance), importance], 1)
    weight = train(torch.from_numpy(density).float(), torch.from_numpy(both).float(), 1, training)
    squares = np.square(weight[:, 0]).reshape(len(importances), len(densities), 2)
    return squares[..., 0], squares[..., 1]


def features_per_dimension(
    densities: Float[np.ndarray, "densities"], features: int, dimensions: int, training: Training, *, relu: bool = True
) -> Float[np.ndarray, "densities"]:
    """Squared lengths of equally important features, each counted up to 1, for each dimension: how many are kept."""
    density = torch.from_numpy(densities).float()
    weight = train(density, torch.ones(len(densities), features), dimensions, training, relu=relu)
    return np.asarray(np.minimum(np.square(weight).sum(1), 1).sum(1) / dimensions)


def drawn_phases(densities: np.ndarray, importances: np.ndarray, first: np.ndarray, second: np.ndarray) -> str:
    """The diagram, blue where only the second feature is kept and orange where only the first is."""
    return heatmap(
        "phases",
        "Blue: only the second feature is kept; orange: only the first; pale: both",
        ((second - first) / (second + first + 1e-9)).tolist(),
        rows=[f"{value:.2g}" for value in importances],
        columns=[f"{value:.2g}" for value in densities],
        x="density (probability that a feature is on)",
        y="importance of the second feature",
        limit=1.0,
    )


def main(folder: Path) -> None:
    densities, importances = np.logspace(0, -2, 16), np.logspace(1, -1, 16)
    first, second = phase_diagram(densities, importances, Training(restarts=6))
    shared = (first > KEPT) & (second > KEPT)
    print("Share of importances for which both features are kept in one dimension, by density:")
    for density, share in zip(densities, shared.mean(0), strict=True):
        print(f"{density:>10.3f}{share:>8.2f}")
    sweep = np.logspace(0, -1.5, 12)
    held = features_per_dimension(sweep, 32, 4, Training(restarts=1))
    linear = features_per_dimension(sweep, 32, 4, Training(restarts=1), relu=False)
    print(f"{'density':>10}{'features per dimension':>25}{'without ReLU':>15}")
    for density, with_relu, without in zip(sweep, held, linear, strict=True):
        print(f"{density:>10.3f}{with_relu:>25.2f}{without:>15.2f}")
    per_dimension = curves(
        "features",
        "32 features in 4 dimensions",
        [
            Curve("with ReLU", (1 / sweep).tolist(), held.tolist()),
            Curve("without (control)", (1 / sweep).tolist(), linear.tolist()),
        ],
        x="1 / density",
        y="features per dimension",
        log_x=True,
    )
    write(folder / "superposition.svg", drawn_phases(densities, importances, first, second), per_dimension)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
