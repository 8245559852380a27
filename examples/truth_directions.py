"""Truth directions: does what reads the truth about cities read it about elements and sums?

Found before, by Marks and Tegmark 2023, *The Geometry of Truth* (arXiv 2310.06824): in large enough models, true and
false statements lie on two sides of a plane, and a linear probe that was trained on statements of one kind often works
on those of another.

Shown here, in SmolLM2-135M-Instruct, asked about cities, elements and sums whether something is so: a probe reads,
where the answer is to begin, whether the right one is yes. For each kind the layer is chosen by the probe's own
out-of-fold AUROC; then it is used on the other kinds as it is. Beside it stand the model's own answers, a bag of words
that goes through the same, and probes on labels that were shuffled. At this size the truth about cities can be read,
that about elements less and that about sums hardly, and no direction carries over from one to another.

    python examples/truth_directions.py [FOLDER FOR THE FIGURE]

Takes about half a minute on one core. Needs the embedded model: superalign models pull smollm2-135m
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from sklearn.feature_extraction.text import CountVectorizer

from superalign.contracts.records import Interval, Question
from superalign.contracts.registry import tasks
from superalign.interpretability.estimators import LogisticProbe
from superalign.interpretability.probes import out_of_fold, shuffled_within_groups, text_baselines
from superalign.models.handle import open_alone
from superalign.models.subject import ModelSubject
from superalign.report.charts import heatmap, write
from superalign.tasks.metrics import auroc, group_weights, percentile_interval, point
from superalign.tasks.splits import by_group

KINDS = ("cities", "elements", "arithmetic")
RESAMPLES = 1000


@dataclass(frozen=True)
class Kind:
    """Questions of one task, and what the model has where the answer is to begin."""

    name: str
    questions: Sequence[Question]
    truth: Bool[np.ndarray, "questions"]
    groups: Sequence[str]
    read: Float[np.ndarray, "questions layers width"]
    said: Float[np.ndarray, "questions"]

    @classmethod
    def of(cls, subject: ModelSubject, name: str, limit: int, layers: Sequence[int], seed: int) -> Kind:
        questions, key = tasks.make(name).load(limit=limit, seed=seed)
        asked = [question.asked for question in questions]
        truth = key.of(questions)
        return cls(
            name, questions, truth, by_group(questions), subject.activations(asked, layers), subject.yes_logits(asked)
        )

    def score(self, margin: Float[np.ndarray, "questions"]) -> Interval:
        """AUROC with an interval by group."""
        weights = group_weights(self.groups, RESAMPLES, np.random.default_rng(0))
        return percentile_interval(point(auroc, margin, self.truth), auroc(margin, self.truth, weights))


@dataclass(frozen=True)
class Trained:
    """Probes trained on one kind: the layer that reads its own truth best, and what they read of every kind."""

    layer: int
    auroc: dict[str, Interval]  # out of fold on its own kind
    words: dict[str, float]  # a bag of words, likewise
    shuffled: dict[str, float]  # the same layer, trained on shuffled labels


def trained_on(kind: Kind, kinds: Sequence[Kind], layers: Sequence[int]) -> Trained:
    """Chosen and trained on `kind` alone."""
    own = [out_of_fold(kind.read[:, place], kind.truth, kind.groups) for place in range(len(layers))]
    best = int(np.argmax([point(auroc, margin, kind.truth) for margin in own]))
    labels = shuffled_within_groups(kind.truth, kind.groups, seed=0)
    found: dict[str, Interval] = {kind.name: kind.score(own[best])}
    shuffled = {kind.name: point(auroc, out_of_fold(kind.read[:, best], labels, kind.groups), kind.truth)}
    words = {kind.name: text_baselines(kind.questions, kind.truth, kind.groups)["bag of words"]}
    counts = CountVectorizer(token_pattern=r"\S+").fit([question.prompt for question in kind.questions])
    for other in kinds:
        if other is not kind:
            found[other.name] = other.score(applied(kind.read[:, best], kind.truth, other.read[:, best]))
            shuffled[other.name] = point(auroc, applied(kind.read[:, best], labels, other.read[:, best]), other.truth)
            bags = [counts.transform([q.prompt for q in of.questions]).toarray().astype(float) for of in (kind, other)]
            words[other.name] = point(auroc, applied(bags[0], kind.truth, bags[1]), other.truth)
    return Trained(layers[best], found, words, shuffled)


def applied(train: np.ndarray, truth: Bool[np.ndarray, "questions"], test: np.ndarray) -> np.ndarray:
    """A probe trained on one kind, on another."""
    return np.asarray(LogisticProbe().fit(train, truth).decision_function(test))


def study(
    subject: ModelSubject, *, limit: int, layers: Sequence[int], seed: int = 0
) -> tuple[list[Kind], list[Trained]]:
    """All kinds, and probes trained on each."""
    kinds = [Kind.of(subject, name, limit, layers, seed) for name in KINDS]
    return kinds, [trained_on(kind, kinds, layers) for kind in kinds]


def main(folder: Path) -> None:
    subject, _ = open_alone("smollm2-135m")
    kinds, found = study(subject, limit=118, layers=range(6, 31, 3))
    print("AUROC of", ", ".join(f"{kind.name} ({len(kind.questions)} questions)" for kind in kinds))
    print(f"{'what it answers':30}" + "".join(f"{kind.score(kind.said).value:>22.2f}" for kind in kinds))
    for kind, of in zip(kinds, found, strict=True):
        cells = [of.auroc[to.name] for to in kinds]
        print(
            f"{f'trained on {kind.name}, layer {of.layer}':30}"
            + "".join(f"{f'{cell.value:.2f} [{cell.low:.2f}, {cell.high:.2f}]':>22}" for cell in cells)
        )
        print(f"{'  bag of words':30}" + "".join(f"{of.words[to.name]:>22.2f}" for to in kinds))
        print(f"{'  shuffled labels':30}" + "".join(f"{of.shuffled[to.name]:>22.2f}" for to in kinds))
    chart = heatmap(
        "transfer",
        "AUROC over chance; blue reads the truth, orange its opposite",
        [[of.auroc[to.name].value - 0.5 for to in kinds] for of in found],
        rows=[f"trained on {kind.name}" for kind in kinds],
        columns=[kind.name for kind in kinds],
        x="tested on",
        y="",
        limit=0.5,
    )
    write(folder / "truth_directions.svg", chart)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
