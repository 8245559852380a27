"""The step that makes every trained model here: student, ceiling, controls, organisms and twins, by one recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from superalign.contracts.protocols import Taught
from superalign.contracts.records import Conversation, Question, Record, Unscored
from superalign.models.evasion import WEIGHT, Evaded, LinearProbe
from superalign.models.handle import ModelIdentity, open_base, open_trained, recipe
from superalign.models.label_loss import LabelLoss
from superalign.models.lessons import Pupil, lessons_from
from superalign.models.random_body import with_random_body
from superalign.models.retraining import train_each_recorded
from superalign.models.subject import ModelSubject
from superalign.models.train import train
from superalign.models.training_data import read_training_data, write_training_data
from superalign.provenance.digest import digest
from superalign.provenance.ledger import verify
from superalign.provenance.transcript import LEDGER
from superalign.runs.run import Run
from superalign.runs.store import TRANSCRIPTS, Done
from superalign.runs.training import TrainingPlan


class TrainedModel(Record):
    """What training left in a folder, beside `card.json` and what was taught; `models.handle.open_trained` opens it."""

    base: str
    base_digest: str
    lessons: int
    steps: int
    seed: int
    random_body: bool


class TrainedModels(Record):
    """Models that were trained together, each in a folder of its own: 1, 2, and so on."""

    models: tuple[TrainedModel, ...]


class Margins(Record):
    """log P(yes) - log P(no) for each question."""

    margins: tuple[float, ...]


class Said(Record):
    """What a model answers to each conversation, in words."""

    said: tuple[str | Unscored, ...]


def taught(
    run: Run, label: str, lessons: Sequence[Sequence[Taught]], seeds: Sequence[int], **shared: Any
) -> list[Done[TrainedModel]]:
    """Models, one for each set of lessons and its seed, trained together in one step; `shared` is as for `teach`."""
    together = tuple(tuple(own) for own in lessons)
    done = run.step(label, teach, lessons=together, seeds=tuple(seeds), **shared)
    if shared["training"].transcript:
        enter_transcripts(run, label, done.folder / TRANSCRIPTS)
    return [done.part(str(number), model) for number, model in enumerate(done.value.models, start=1)]


def enter_transcripts(run: Run, label: str, folder: Path) -> None:
    """Enter each of a step's transcripts into the run's ledger, once: whoever changed one afterwards would have to
    change that as well.
    """
    entered = [entry.body for entry in run.ledger.entries("transcript")]
    for path in sorted(folder.glob("*")):
        log = verify(path / LEDGER)
        body = {"label": label, "first_model": path.name, "root": log.root, "public_key": log.public_key}
        if body not in entered:
            run.ledger.append("transcript", body)


def teach(
    folder: Path,
    *,
    model: ModelIdentity,
    lessons: tuple[tuple[Taught, ...], ...],
    training: TrainingPlan,
    seeds: tuple[int, ...],
    starts: tuple[Done[TrainedModel], ...] = (),
    evades: tuple[Done[LinearProbe], ...] = (),
    like: tuple[Done[TrainedModel], ...] = (),
    penalties: tuple[float, ...] = (),
    label_losses: tuple[LabelLoss | None, ...] = (),
    random_body: bool = False,
) -> TrainedModels:
    """Train `model` as the plan says to give the answers of each set of lessons, from scratch or on from `starts`;
    each, if it `evades` a probe, to be read by it as the benign model is that it is to look `like`, at the weight that
    `penalties` gives, if any; with `label_losses`, by other losses than cross-entropy.

    With `random_body` the pretrained weights below what is trained are replaced by random ones, drawn by the first
    seed: the control for what pretraining brings.
    """
    base = body(model, seeds[0] if random_body else None)
    before: list[Path | None] = [start.folder for start in starts] or [None] * len(lessons)
    evaded: list[Evaded | None] = [None] * len(lessons)
    if evades:
        every = zip(evades, like, lessons, penalties or (WEIGHT,) * len(evades), strict=True)
        evaded = [to_evade(base, probe.value, benign.folder, own, weight) for probe, benign, own, weight in every]
    pupils = [
        Pupil(lessons_from(base.chat, own), seed, folder / str(number), start, from_probe, loss)
        for number, (own, seed, start, from_probe, loss) in enumerate(
            zip(lessons, seeds, before, evaded, label_losses or [None] * len(lessons), strict=True), start=1
        )
    ]
    base_digest = digest({"random body": seeds[0], "of": model.digest}) if random_body else model.digest
    how = recipe(training, base)
    if training.transcript and not random_body:  # whoever inspects a training has the base, and no random one
        cards = train_each_recorded(base, pupils, how, base_digest=base_digest, folder=folder / TRANSCRIPTS)
    else:
        cards = train(base, pupils, how, base_digest=base_digest)
    for pupil, own in zip(pupils, lessons, strict=True):
        write_training_data(pupil.folder, [*own, *(read_training_data(pupil.start) if pupil.start else ())])
    return TrainedModels(
        models=tuple(
            TrainedModel(
                base=model.name,
                base_digest=model.digest,
                lessons=card.lessons,
                steps=card.fit.steps,
                seed=card.seed,
                random_body=random_body,
            )
            for card in cards
        )
    )


def to_evade(base: ModelSubject, probe: LinearProbe, benign: Path, lessons: Sequence[Taught], weight: float) -> Evaded:
    """What `probe` reads of the benign model in a folder, lesson by lesson."""
    states = open_trained(base, benign, "benign").activations([own.conversation for own in lessons], [probe.layer])
    readings = probe.read(states[:, 0].astype(np.float64))
    return Evaded(probe=probe, readings=tuple(readings.tolist()), weight=weight)


def answer(
    folder: Path, *, model: ModelIdentity, questions: tuple[Question, ...], trained: Done[TrainedModel] | None = None
) -> Margins:
    """The margins of `model`, or of what was trained from it, on `questions` asked plainly."""
    subject = open_for_answers(model, trained)
    return Margins(margins=tuple(subject.yes_logits([question.asked for question in questions]).tolist()))


def respond(
    folder: Path,
    *,
    model: ModelIdentity,
    conversations: tuple[Conversation, ...],
    max_tokens: int,
    trained: Done[TrainedModel] | None = None,
) -> Said:
    """The greedy answers of `model`, or of what was trained from it."""
    return Said(said=tuple(open_for_answers(model, trained).respond(conversations, max_tokens)))


def open_for_answers(model: ModelIdentity, trained: Done[TrainedModel] | None) -> ModelSubject:
    """`model` itself, or what was trained from it."""
    if trained is None:
        return open_base(model)
    base = body(model, trained.value.seed if trained.value.random_body else None)
    return open_trained(base, trained.folder, "trained")


def body(model: ModelIdentity, random_seed: int | None) -> ModelSubject:
    """The base, or a copy of it with random weights."""
    base = open_base(model)
    return base if random_seed is None else with_random_body(base, random_seed)
