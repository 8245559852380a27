"""Grokking: a transformer that learns to add modulo a prime turns numbers into waves.

Found before, by Nanda et al. 2023, *Progress measures for grokking via mechanistic interpretability*
(arXiv 2301.05217): trained with weight decay on a part of all sums, a one-layer transformer first learns these by heart
and much later solves the others, all at once. It adds by turning: its embedding holds cos and sin of a few frequencies,
and the logits are waves in a + b of the same frequencies.

Shown here, for a smaller prime: held-out accuracy comes long after training accuracy; a few key frequencies hold most
of the embedding's norm; logits cut down to them are at least as good on held-out sums (restricted loss), logits without
them are worse than guessing even on the sums learnt (excluded loss). Two controls go through the same training and
analysis: random sums, which can only be learnt by heart, and weights as they were at first.

    python examples/modular_addition.py [FOLDER FOR THE FIGURE]

Takes about half a minute on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from superalign.report.charts import Curve, curves, write


@dataclass(frozen=True)
class Setup:
    """What is trained, and how long. `share` of all sums is learnt from, the others are held out."""

    prime: int = 43
    width: int = 48
    heads: int = 4
    hidden: int = 128
    share: float = 0.4
    learning_rate: float = 1e-2
    weight_decay: float = 2.0
    steps: int = 2000
    every: int = 100
    seed: int = 0


class Adder(nn.Module):
    """One layer without norms, as in the paper; the answer is read where "=" stands, so only that position attends."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        prime, width, hidden = setup.prime, setup.width, setup.hidden
        self.heads = setup.heads
        self.embedding = nn.Parameter(torch.randn(prime + 1, width) / width**0.5)
        self.position = nn.Parameter(torch.randn(3, width) / width**0.5)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.unembedding = nn.Linear(width, prime, bias=False)

    def forward(self, a: Int[Tensor, "sums"], b: Int[Tensor, "sums"]) -> Float[Tensor, "sums prime"]:
        equals = torch.full_like(a, len(self.embedding) - 1)
        stream = self.embedding[torch.stack([a, b, equals], 1)] + self.position
        query = self.query(stream[:, -1:]).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = (part(stream).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.key, self.value))
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(-2)[:, 0]
        last = stream[:, -1] + self.out(read)
        last = last + self.down(F.relu(self.up(last)))
        logits: Tensor = self.unembedding(last)
        return logits


@dataclass(frozen=True)
class Check:
    """A model between two steps: its logits of all sums, and the embedding of the numbers."""

    step: int
    logits: Float[np.ndarray, "prime prime prime"]
    embedding: Float[np.ndarray, "prime width"]


@dataclass(frozen=True)
class Task:
    """Right answers to all sums, and which of these are learnt from."""

    answers: Int[np.ndarray, "prime prime"]
    learnt: Float[np.ndarray, "prime prime"]

    @classmethod
    def draw(cls, setup: Setup, *, sums: bool) -> Task:
        """a + b modulo the prime, or as many answers at random."""
        rng = np.random.default_rng(setup.seed)
        numbers = np.arange(setup.prime)
        answers = (numbers[:, None] + numbers) % setup.prime
        if not sums:
            answers = rng.permutation(answers.ravel()).reshape(answers.shape)
        return cls(answers, rng.permutation(answers.size).reshape(answers.shape) < setup.share * answers.size)

    def accuracy(self, logits: np.ndarray, *, learnt: bool) -> float:
        return float((logits.argmax(-1) == self.answers)[self.learnt == learnt].mean())

    def loss(self, logits: np.ndarray, *, learnt: bool) -> float:
        chosen = self.learnt == learnt
        given = torch.from_numpy(np.ascontiguousarray(logits[chosen]))
        return float(F.cross_entropy(given, torch.from_numpy(self.answers[chosen])))


def train(setup: Setup, task: Task) -> list[Check]:
    """Full-batch AdamW on what is learnt; a check every so many steps, the first before any."""
    torch.manual_seed(setup.seed)
    model = Adder(setup)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=setup.learning_rate, weight_decay=setup.weight_decay, betas=(0.9, 0.98)
    )
    a, b = (torch.from_numpy(place) for place in np.nonzero(task.learnt))
    answers = torch.from_numpy(task.answers[task.learnt])
    checks = []
    for step in range(setup.steps + 1):
        # So high a rate makes the loss jump now and then; towards the end it must not.
        optimizer.param_groups[0]["lr"] = setup.learning_rate * min(1.0, 4 * (1 - step / setup.steps))
        if step % setup.every == 0:
            checks.append(look(model, setup.prime, step))
        loss = F.cross_entropy(model(a, b), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return checks


@torch.no_grad()
def look(model: Adder, prime: int, step: int) -> Check:
    a, b = (number.flatten() for number in torch.meshgrid(torch.arange(prime), torch.arange(prime), indexing="ij"))
    logits = model(a, b).view(prime, prime, prime).double().numpy()
    return Check(step, logits, model.embedding[:prime].detach().double().numpy().copy())


def norms(embedding: Float[np.ndarray, "prime width"]) -> Float[np.ndarray, "frequencies"]:
    """Share of each frequency from 1 up in the embedding's squared norm about its mean."""
    waves = np.square(np.abs(np.fft.rfft(embedding, axis=0)[1:])).sum(1)
    return np.asarray(waves / waves.sum())


def waves_of_the_sum(logits: np.ndarray, frequencies: Int[np.ndarray, "_"]) -> np.ndarray:
    """The part of the logits that is a wave in a + b of one of these frequencies."""
    spectrum = np.fft.fft2(logits, axes=(0, 1))
    both = np.concatenate([frequencies, -frequencies])
    kept = np.zeros_like(spectrum)
    kept[both, both] = spectrum[both, both]
    return np.asarray(np.fft.ifft2(kept, axes=(0, 1)).real)


def first(checks: list[Check], task: Task, *, learnt: bool, at_least: float = 0.99) -> int | None:
    """The step from which on a share of the sums is answered right; None if it never is."""
    return next((c.step for c in checks if task.accuracy(c.logits, learnt=learnt) >= at_least), None)


@dataclass(frozen=True)
class Finding:
    """What the last check shows, and at which steps it came."""

    learnt_at: int | None
    solved_at: int | None
    held_out_accuracy: float
    keys: tuple[int, ...]
    share: float  # of the embedding's norm, in the key frequencies
    loss: float  # on held-out sums
    restricted: float  # the same, of the logits' mean and key waves only
    learnt_loss: float
    excluded: float  # on the sums learnt, without the key waves
    excluded_others: float  # the same, without as many other waves

    @classmethod
    def of(cls, checks: list[Check], task: Task, keys: int) -> Finding:
        last = checks[-1]
        order = np.argsort(-norms(last.embedding)) + 1
        key, other = order[:keys], order[keys : 2 * keys]
        mean = last.logits.mean((0, 1))
        return cls(
            learnt_at=first(checks, task, learnt=True),
            solved_at=first(checks, task, learnt=False),
            held_out_accuracy=task.accuracy(last.logits, learnt=False),
            keys=tuple(sorted(key.tolist())),
            share=float(norms(last.embedding)[key - 1].sum()),
            loss=task.loss(last.logits, learnt=False),
            restricted=task.loss(mean + waves_of_the_sum(last.logits, key), learnt=False),
            learnt_loss=task.loss(last.logits, learnt=True),
            excluded=task.loss(last.logits - waves_of_the_sum(last.logits, key), learnt=True),
            excluded_others=task.loss(last.logits - waves_of_the_sum(last.logits, other), learnt=True),
        )


def study(setup: Setup, *, sums: bool = True, keys: int = 5) -> tuple[list[Check], Task, Finding]:
    """Train and look; without `sums`, on random answers."""
    task = Task.draw(setup, sums=sums)
    checks = train(setup, task)
    return checks, task, Finding.of(checks, task, keys)


def draw(folder: Path, checks: list[Check], task: Task, found: Finding) -> None:
    """Accuracy and losses by step; norms by frequency, at first and at last."""
    steps = [check.step for check in checks]
    key = np.array(found.keys)

    def by_step(name: str, measure: Callable[[np.ndarray], float]) -> Curve:
        return Curve(name, steps, [measure(check.logits) for check in checks])

    accuracy = curves(
        "accuracy",
        f"Addition modulo {len(task.answers)}: by heart first, then all at once",
        [
            by_step("learnt sums", lambda logits: task.accuracy(logits, learnt=True)),
            by_step("held-out sums", lambda logits: task.accuracy(logits, learnt=False)),
        ],
        x="step",
        y="accuracy",
    )
    losses = curves(
        "losses",
        f"Losses with and without the key frequencies {', '.join(map(str, found.keys))}",
        [
            by_step("learnt sums", lambda logits: task.loss(logits, learnt=True)),
            by_step("held-out sums", lambda logits: task.loss(logits, learnt=False)),
            by_step(
                "held-out, keys only",
                lambda logits: task.loss(logits.mean((0, 1)) + waves_of_the_sum(logits, key), learnt=False),
            ),
            by_step(
                "learnt, without keys",
                lambda logits: task.loss(logits - waves_of_the_sum(logits, key), learnt=True),
            ),
        ],
        x="step",
        y="cross-entropy",
        log_y=True,
    )
    spectra = [
        Curve(name, range(1, len(of) + 1), of.tolist())
        for name, of in (("at first", norms(checks[0].embedding)), ("at last", norms(checks[-1].embedding)))
    ]
    spectrum = curves("spectrum", "Where the embedding's norm is", spectra, x="frequency", y="share of squared norm")
    write(folder / "modular_addition.svg", accuracy, losses, spectrum)


def main(folder: Path) -> None:
    setup = Setup()
    checks, task, found = study(setup)
    _, _, by_heart = study(setup, sums=False)
    at_first = Finding.of(checks[:1], task, len(found.keys))
    print(
        f"{'':22}{'solved at':>10}{'held out':>10}{'norm in keys':>14}{'restricted':>12}{'excluded':>10}{'others':>8}"
    )
    for name, row in (("a + b modulo the prime", found), ("random answers", by_heart), ("weights at first", at_first)):
        solved = "never" if row.solved_at is None else str(row.solved_at)
        print(
            f"{name:22}{solved:>10}{row.held_out_accuracy:>10.3f}{row.share:>14.2f}{row.restricted:>12.3f}"
            f"{row.excluded:>10.2f}{row.excluded_others:>8.3f}"
        )
    print(f"Learnt by heart at step {found.learnt_at}, held-out loss {found.loss:.3f}, key frequencies {found.keys}.")
    draw(folder, checks, task, found)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
