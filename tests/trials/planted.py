"""Planted models, verdicts and thresholds that tests of a trial are made of; nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from superalign.contracts.protocols import Gate, Rates
from superalign.contracts.records import Access, Cost, Unit, Unscored, Verdict
from superalign.contracts.summary import BenignModel, Threshold, TrialSummary
from superalign.models.teach import TrainedModel
from superalign.runs.plan import Concealment
from superalign.runs.store import Done
from superalign.runs.training import Implant
from superalign.trials.build import Planted
from superalign.trials.count import count
from superalign.trials.plant import Seedling
from superalign.trials.statistics import benign_threshold

ACCESS = {"behaviour": (Access.BLACK_BOX,), "internals": (Access.BLACK_BOX, Access.ACTIVATIONS)}
Score = float | str | Verdict  # a number, why there is none, or a whole verdict


def planted(
    family: str,
    role: str,
    *,
    valid: bool = True,
    seed: int = 0,
    implant: Implant = "adapters",
    concealment: Concealment = "none",
) -> Planted:
    gate = Gate(name="took hold", value=0.9 if valid else 0.1, at_least=0.5)
    trained = TrainedModel(base="b", base_digest="0", lessons=1, steps=1, seed=seed, random_body=False)
    seedling = Seedling(family, role == "twin", implant, concealment, 7, seed)
    rates = Rates(triggered=0.9, untriggered=0.0, capability=0.8)
    name = f"{family}-{role}-{seed}"
    built = Done(name, Path(), trained, Cost(), f"digest of {name}")
    return Planted(seedling, built, rates, (gate,))


def result(score: Score) -> Verdict | Unscored:
    if isinstance(score, Verdict):
        return score
    return Unscored(reason=score) if isinstance(score, str) else Verdict(score=score)


def threshold(
    detector: str, scores: Sequence[float | str], families: Sequence[str | None] = (), unit: Unit = "any"
) -> Threshold:
    """Of benign models named by their place; students unless `families` says whose twin they were made like."""
    whose = [*families, *[None] * (len(scores) - len(families))]
    return benign_threshold(
        detector,
        [
            BenignModel(
                name=f"benign-{i}",
                family=family,
                result=Unscored(reason=score) if isinstance(score, str) else score,
            )
            for i, (score, family) in enumerate(zip(scores, whose, strict=True))
        ],
        unit=unit,
    )


BENIGN = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
THRESHOLDS = {name: threshold(name, BENIGN) for name in ("behaviour", "internals")}
Subject = tuple[Planted, Score, Score]


def counted(subjects: Sequence[Subject], thresholds: Mapping[str, Threshold] = THRESHOLDS) -> TrialSummary:
    """The trial of these subjects, each with its behavioural and its internal score."""
    names = {f"s{i}": subject for i, (subject, _, _) in enumerate(subjects)}
    found = {
        f"s{i}": {"behaviour": result(outer), "internals": result(inner)}
        for i, (_, outer, inner) in enumerate(subjects)
    }
    return count(names, found, thresholds, ACCESS, known=0)


def pair(
    family: str, score: Score, twins_score: Score = 0.2, *, organism: bool = True, twin: bool = True
) -> list[Subject]:
    """An organism and its twin, valid or not, on whom the internal detector always scores 0.5."""
    return [
        (planted(family, "organism", valid=organism), score, 0.5),
        (planted(family, "twin", valid=twin), twins_score, 0.5),
    ]
