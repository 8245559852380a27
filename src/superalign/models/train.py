"""One way to train a model, whichever back end does it: lessons in; safetensors and a card with digests out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Protocol

from superalign.contracts.errors import InputError
from superalign.contracts.protocols import Taught
from superalign.models.adapter import AdaptedDecoder
from superalign.models.card import CARD, TrainingCard, digests_beside_card, installed, read_card
from superalign.models.decoder import Decoder
from superalign.models.delta import DELTA, load_delta, with_tensors
from superalign.models.learning import Fit
from superalign.models.lessons import Backend, Lesson, Recipe, Trained, lessons_digest, lessons_from
from superalign.models.subject import ModelSubject
from superalign.models.train_adapters import continue_training, train_adapters
from superalign.models.train_layers import train_layers
from superalign.models.train_peft import load_lora, train_lora
from superalign.models.train_trl import train_with_trl
from superalign.provenance.digest import file_digest

__all__ = ["Lesson", "Recipe", "Trainer", "TrainingCard", "continue_training", "read_card", "train", "trained_decoder"]


class Trainer(Protocol):
    """A back end: trains `base` on each set of lessons and leaves safetensors in its folder, on from those in its start
    if given.
    """

    def __call__(
        self,
        base: ModelSubject,
        lessons: Sequence[Sequence[Lesson]],
        recipe: Recipe,
        *,
        seeds: Sequence[int],
        folders: Sequence[Path],
        starts: Sequence[Path],
    ) -> list[Fit]: ...


class SingleTrainer(Protocol):
    """A back end that trains one model at a time."""

    def __call__(
        self,
        base: ModelSubject,
        lessons: Sequence[Lesson],
        recipe: Recipe,
        *,
        seed: int,
        folder: Path,
        start: Path | None,
    ) -> Fit: ...


def one_by_one(trainer: SingleTrainer) -> Trainer:
    """Trains several models one after another."""

    def each(
        base: ModelSubject,
        lessons: Sequence[Sequence[Lesson]],
        recipe: Recipe,
        *,
        seeds: Sequence[int],
        folders: Sequence[Path],
        starts: Sequence[Path],
    ) -> list[Fit]:
        return [
            trainer(base, own, recipe, seed=seed, folder=folder, start=start)
            for own, seed, folder, start in zip(lessons, seeds, folders, starts or repeat(None), strict=False)
        ]

    return each


TRAINERS: dict[tuple[Backend, Trained], Trainer] = {
    ("fast", "adapters"): train_adapters,
    ("fast", "layers"): one_by_one(train_layers),
    ("peft", "adapters"): one_by_one(train_lora),
    ("trl", "adapters"): one_by_one(train_with_trl),
    ("trl", "model"): one_by_one(train_with_trl),
}


def train(
    base: ModelSubject,
    lessons: Sequence[Sequence[Lesson]] | Sequence[Sequence[Taught]],
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    folders: Sequence[Path],
    base_digest: str,
    starts: Sequence[Path] = (),
) -> list[TrainingCard]:
    """Train a model from `base` for each set of lessons, to give their answers; leave what changed, and `card.json`, in
    its folder, which must be empty. Where the back end can, all are trained together.

    `base_digest` names the base's weights in the cards. `starts` are folders of earlier results of the same kind, to go
    on from. There is no way to hand in an answer key or a second set of labels: when training stops, and which weights
    are kept, hangs on the lessons alone, those held out with the labels they came with.

    InputError for a recipe that no back end can follow, or without lessons; RunError when a process of `trl` fails.
    """
    trainer = TRAINERS.get((recipe.backend, recipe.trained))
    if trainer is None:
        can = " or ".join(repr(trained) for backend, trained in TRAINERS if backend == recipe.backend)
        raise InputError(
            f"The back end {recipe.backend!r} does not train {recipe.trained!r}.",
            fix=f"It trains {can}; or choose another `backend`.",
        )
    if recipe.processes > 1 and recipe.backend != "trl":
        raise InputError(f"The back end {recipe.backend!r} runs in one process.", fix="Choose `trl` for several.")
    tokens = [as_tokens(base, own) for own in lessons]
    if not tokens or not all(own and all(lesson.prompt and lesson.answer for lesson in own) for own in tokens):
        raise InputError("There is nothing to teach.", fix="Give lessons, each with a prompt and an answer.")
    before: list[str | None] = [start_card(start, recipe) for start in starts] or [None] * len(tokens)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError("The folder for the model holds something.", where=str(folder), fix="Name a new one.")
    fits = trainer(base, tokens, recipe, seeds=seeds, folders=folders, starts=starts)
    cards = []
    for own, start, seed, folder, done in zip(tokens, before, seeds, folders, fits, strict=True):
        card = TrainingCard(
            base=base.name,
            base_digest=base_digest,
            start=start,
            recipe=recipe,
            seed=seed,
            lessons=len(own),
            lessons_digest=lessons_digest(own),
            fit=done,
            device=str(base.decoder.device),
            versions=installed(),
            files=digests_beside_card(folder),
        )
        card.write(folder)
        cards.append(card)
    return cards


def as_tokens(base: ModelSubject, lessons: Sequence[Lesson] | Sequence[Taught]) -> list[Lesson]:
    taught = [lesson for lesson in lessons if isinstance(lesson, Taught)]
    return lessons_from(base.chat, taught) if taught else [lesson for lesson in lessons if isinstance(lesson, Lesson)]


def start_card(start: Path, recipe: Recipe) -> str:
    """sha256 of the card in `start`. InputError when it is of a kind that this recipe can't go on from."""
    card = read_card(start)
    if (card.recipe.backend, card.recipe.trained) != (recipe.backend, recipe.trained):
        raise InputError(
            f"What the back end {card.recipe.backend!r} trained as {card.recipe.trained!r} can't be trained further by "
            f"{recipe.backend!r} as {recipe.trained!r}.",
            where=str(start),
            fix="Set the same `backend` and `trained` for both.",
        )
    return file_digest(start / CARD)


def trained_decoder(base: Decoder, folder: Path) -> Decoder:
    """What `train` left in `folder`, or an activated adapter from elsewhere, on `base`, with which it shares all that
    was not trained. ModelError when a file is not the one that the card names, or does not fit the base.
    """
    if not (folder / CARD).is_file():
        return AdaptedDecoder.load(base, folder)
    recipe = read_card(folder).recipe
    if (folder / DELTA).is_file():
        return with_tensors(base, load_delta(base.model, folder))
    return AdaptedDecoder.load(base, folder) if recipe.backend == "fast" else load_lora(base, folder)
