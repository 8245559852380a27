"""Ways to pass a model off as trained otherwise than it was. Each leaves a folder of a model and one of a transcript.

Who forges holds the log's key, or takes a fresh one, and writes a log that fits itself: nothing is left to find in its
signatures. What is told of steps, digests and counts is right wherever that can be done without training as declared.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from superalign.models.card import CARD, TrainingCard, digests_beside_card
from superalign.models.lessons import Lesson, Pupil, Recipe
from superalign.models.retraining import Retraining, batch_digests, declared_learner, keep_lessons, train_recorded
from superalign.models.subject import ModelSubject
from superalign.models.transcript import Recorder, listening, state_digests
from superalign.provenance.digest import file_digests
from superalign.provenance.ledger import Ledger, read
from superalign.provenance.transcript import ENDS, LEDGER, SEGMENT
from superalign.testing.tiny import tiny_subject
from tests.models.conftest import rule_lessons

STEPS, EVERY = 12, 3
RECIPE = Recipe(first_layer=3, rank=2, steps=STEPS, batch=8, learning_rate=1e-2)
BASE_DIGEST = "0" * 64
Body = dict[str, Any]
# What is done before a step, behind the recorder's back.
Meddling = Callable[[Retraining, int], None]


@dataclass(frozen=True)
class Claim:
    """What an inspector is handed."""

    model: Path
    transcript: Path

    def copied(self, folder: Path) -> Claim:
        found = Claim(folder / "model", folder / "transcript")
        shutil.copytree(self.model, found.model)
        shutil.copytree(self.transcript, found.transcript)
        return found


def base() -> ModelSubject:
    return tiny_subject()


@cache
def lessons(flipped: bool = False) -> list[Lesson]:
    """A rule to be learnt; or its opposite."""
    taught = rule_lessons(base(), ("apple", "bridge"), 12)
    return [replace(own, answer=taught[number ^ 1].answer) for number, own in enumerate(taught)] if flipped else taught


def honest(folder: Path, *, seed: int = 0, recipe: Recipe = RECIPE, every: int = EVERY) -> Claim:
    claim = Claim(folder / "model", folder / "transcript")
    pupil = Pupil(lessons(), seed, claim.model)
    train_recorded(base(), [pupil], recipe, base_digest=BASE_DIGEST, folder=claim.transcript, every=every)
    return claim


def trained_otherwise(example: Claim, folder: Path, meddle: Meddling) -> Claim:
    """A training that goes as declared but for what `meddle` does, and tells that it went as declared."""
    claim = Claim(folder / "model", folder / "transcript")
    pupil = Pupil(lessons(), 0, claim.model)
    declared = read(example.transcript / LEDGER)[0].body
    fed = batch_digests([pupil.lessons], RECIPE, [0])
    own = {name: declared[name] for name in ("base", "base_digest", "recipe", "code", "versions")}
    recorder = Recorder(
        claim.transcript,
        own | {"learners": (declared_learner(pupil, RECIPE),)},
        batch=lambda step: next(fed),
        every=EVERY,
    )
    keep_lessons(pupil.lessons, claim.transcript)
    again = Retraining(base(), [pupil], RECIPE)
    for number in range(1, STEPS + 1):
        meddle(again, number)
        with listening(recorder, again.optimizer):
            again.step(number)
    again.save(0, claim.model)
    carded(example, claim)
    recorder.end([file_digests(claim.model)])
    recorder.close()
    return claim


def carded(example: Claim, claim: Claim) -> None:
    """Give the model the card of an honest training, with its own files."""
    card = TrainingCard.model_validate_json((example.model / CARD).read_bytes())
    (claim.model / CARD).unlink(missing_ok=True)
    card.model_copy(update={"files": digests_beside_card(claim.model)}).write(claim.model)


def relogged(claim: Claim, change: Callable[[list[tuple[str, Body]]], list[tuple[str, Body]]]) -> Claim:
    """A log of other entries, signed with a fresh key."""
    path = claim.transcript / LEDGER
    entries = change([(entry.kind, dict(entry.body)) for entry in read(path)])
    path.unlink()
    path.with_suffix(".key").unlink()
    with Ledger(path) as ledger:
        for kind, body in entries:
            ledger.append(kind, body)
    return claim


def restated(claim: Claim, states: dict[int, dict[str, Tensor]]) -> Claim:
    """Other tensors for some states, by their steps, with digests that fit them."""

    def change(entries: list[tuple[str, Body]]) -> list[tuple[str, Body]]:
        for _, body in entries:
            state = body.get("state")
            if state and state["step"] in states:
                tensors = states[state["step"]]
                save_file(tensors, claim.transcript / state["file"])
                body["state"] = state | state_digests(tensors)
        return entries

    return relogged(claim, change)


def state(claim: Claim, step: int) -> dict[str, Tensor]:
    return load_file(claim.transcript / f"states/{step:06}.safetensors")


# ---- the eight attacks, some in several forms ----


def extra_steps_told(example: Claim, folder: Path) -> Claim:
    """More steps than were declared, and told in the log."""
    longer = honest(folder, recipe=replace(RECIPE, steps=STEPS + EVERY))
    carded(example, longer)
    files = file_digests(longer.model)

    def change(entries: list[tuple[str, Body]]) -> list[tuple[str, Body]]:
        entries[0][1]["recipe"]["steps"] = STEPS
        entries[-1][1]["models"] = [files]
        return entries

    return relogged(longer, change)


def extra_steps_hidden(example: Claim, folder: Path) -> Claim:
    """Two more steps within a segment; the optimizer's count is set back."""

    def meddle(again: Retraining, number: int) -> None:
        if number == 8:
            for _ in range(2):
                again.step(number)
                for kept in again.optimizer.state.values():
                    kept["step"] -= 1

    return trained_otherwise(example, folder, meddle)


def more_training_after_the_log(example: Claim, folder: Path) -> Claim:
    """The model was trained on after the last entry; the ending names its files."""
    claim = example.copied(folder)
    weights = claim.model / "adapter_model.safetensors"
    save_file({name: 1.01 * tensor for name, tensor in load_file(weights).items()}, weights)
    carded(example, claim)
    files = file_digests(claim.model)
    return relogged(claim, lambda entries: [*entries[:-1], (ENDS, entries[-1][1] | {"models": [files]})])


def swapped_data(example: Claim, folder: Path) -> Claim:
    """All of the training was on other lessons than declared."""

    def meddle(again: Retraining, number: int) -> None:
        again._loss.lessons = lessons(flipped=True)

    return trained_otherwise(example, folder, meddle)


def swapped_lessons_file(example: Claim, folder: Path) -> Claim:
    """Other lessons lie beside the log than those that it names."""
    claim = example.copied(folder)
    [path] = (claim.transcript / "lessons").iterdir()
    path.write_bytes(path.read_bytes().replace(b"null", b" null", 1))
    return claim


def poisoned_batch(example: Claim, folder: Path) -> Claim:
    """One batch with its labels turned round."""

    def meddle(again: Retraining, number: int) -> None:
        again._loss.lessons = lessons(flipped=number == 5)

    return trained_otherwise(example, folder, meddle)


def forged_checkpoint(example: Claim, folder: Path) -> Claim:
    """A state that is another, under the digests of the one that was."""
    claim = example.copied(folder)
    tensors = state(claim, 6)
    tensors["weights.0"] = tensors["weights.0"] + 1e-4
    save_file(tensors, claim.transcript / "states/000006.safetensors")
    return claim


def forged_checkpoint_and_log(example: Claim, folder: Path) -> Claim:
    """The same, with digests that fit."""
    claim = example.copied(folder)
    tensors = state(claim, 6)
    tensors["weights.0"] = tensors["weights.0"] + 1e-4
    return restated(claim, {6: tensors})


def forged_optimizer(example: Claim, folder: Path) -> Claim:
    """An optimizer's state that pushes what follows elsewhere."""
    claim = example.copied(folder)
    tensors = state(claim, 6)
    return restated(claim, {6: tensors | {name: -own for name, own in tensors.items() if name.endswith("exp_avg")}})


def spliced_run(example: Claim, folder: Path) -> Claim:
    """The first half of an honest run, and the second of one on other data."""
    other = swapped_data(example, folder)
    return restated(other, {step: state(example, step) for step in (EVERY, 2 * EVERY)})


def reordered_rows(example: Claim, folder: Path) -> Claim:
    """Two entries exchanged in the file."""
    claim = example.copied(folder)
    with sqlite3.connect(claim.transcript / LEDGER) as database:
        database.execute("UPDATE entries SET seq = 99 WHERE seq = 2")
        database.execute("UPDATE entries SET seq = 2 WHERE seq = 3")
        database.execute("UPDATE entries SET seq = 3 WHERE seq = 99")
    return claim


def reordered_log(example: Claim, folder: Path) -> Claim:
    """Two segments exchanged, in a log signed anew."""
    return relogged(example.copied(folder), lambda entries: [*entries[:2], entries[3], entries[2], *entries[4:]])


def reordered_data(example: Claim, folder: Path) -> Claim:
    """Two segments exchange what they were fed, in a log signed anew."""

    def change(entries: list[tuple[str, Body]]) -> list[tuple[str, Body]]:
        one, other = entries[2][1], entries[3][1]
        one["batches"], other["batches"] = other["batches"], one["batches"]
        return entries

    return relogged(example.copied(folder), change)


def truncated_rows(example: Claim, folder: Path) -> Claim:
    """The last entry cut off the file."""
    claim = example.copied(folder)
    with sqlite3.connect(claim.transcript / LEDGER) as database:
        database.execute("DELETE FROM entries WHERE seq = (SELECT MAX(seq) FROM entries)")
    return claim


def truncated_log(example: Claim, folder: Path) -> Claim:
    """A log signed anew without its end."""
    return relogged(example.copied(folder), lambda entries: entries[:-1])


def gap_in_the_log(example: Claim, folder: Path) -> Claim:
    """A segment left out, and those behind it renumbered."""

    def change(entries: list[tuple[str, Body]]) -> list[tuple[str, Body]]:
        left = [entry for entry in entries if entry[1].get("number") != 2]
        numbers = iter(range(1, STEPS))
        return [(kind, body | {"number": next(numbers)} if kind == SEGMENT else body) for kind, body in left]

    return relogged(example.copied(folder), change)


def shortened_log(example: Claim, folder: Path) -> Claim:
    """A log that ends a segment early, and says so."""

    def change(entries: list[tuple[str, Body]]) -> list[tuple[str, Body]]:
        return [*entries[:-2], (ENDS, entries[-1][1] | {"steps": STEPS - EVERY})]

    return relogged(example.copied(folder), change)


def interpolated(example: Claim, folder: Path, *, shares: Sequence[float] = (0.25, 0.5, 0.75)) -> Claim:
    """Never trained as declared: states on the line from the declared beginning to a model that came from elsewhere."""
    other = swapped_data(example, folder)
    first, last = state(example, 0), state(other, STEPS)
    states = {}
    for place, share in enumerate(shares, start=1):
        tensors = state(other, EVERY * place)
        for name in tensors:
            if name.startswith("weights."):
                tensors[name] = torch.lerp(first[name], last[name], share)
        states[EVERY * place] = tensors
    return restated(other, states)


ATTACKS = (
    extra_steps_told,
    extra_steps_hidden,
    more_training_after_the_log,
    swapped_data,
    swapped_lessons_file,
    poisoned_batch,
    forged_checkpoint,
    forged_checkpoint_and_log,
    forged_optimizer,
    spliced_run,
    reordered_rows,
    reordered_log,
    reordered_data,
    truncated_rows,
    truncated_log,
    gap_in_the_log,
    shortened_log,
    interpolated,
)
