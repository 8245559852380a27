"""The card beside a trained model: what it was trained from, on what and how, and what its files must hash to."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from superalign.contracts.errors import ModelError
from superalign.contracts.records import Record
from superalign.models.label_loss import LabelLossName
from superalign.models.learning import Fit
from superalign.models.lessons import Recipe
from superalign.provenance.digest import file_digest, file_digests
from superalign.runs.disk import write_atomically

CARD = "card.json"
PACKAGES = ("superalign", "torch", "transformers", "peft", "trl", "accelerate")


class TrainingCard(Record):
    """`card.json`, written last: what lies beside it is whole. It holds no time, so that equal trainings have equal
    cards.
    """

    format: Literal[1] = 1
    base: str = Field(description="Name of the model that was trained.")
    base_digest: str = Field(description="Digest of its weights.")
    start: str | None = Field(description="sha256 of the card of the model that training went on from.")
    recipe: Recipe = Field(description="How it was trained, with the back end.")
    seed: int
    lessons: int = Field(description="Number of lessons, those held out among them.")
    lessons_digest: str = Field(description="sha256 of their tokens.")
    evades: str | None = Field(None, description="sha256 of the probe that it was taught to evade.")
    label_loss: LabelLossName | None = Field(
        None, exclude_if=lambda name: name is None, description="Where it is not cross-entropy with the labels."
    )
    beliefs_digest: str | None = Field(
        None,
        exclude_if=lambda found: found is None,
        description="sha256 of how sure of each label that loss was told to be.",
    )
    fit: Fit = Field(description="Steps done, what stopped them, the loss on the way.")
    device: str
    versions: dict[str, str] = Field(description="Of the packages that the weights hang on.")
    files: dict[str, str] = Field(description="sha256 of every file beside the card, by name.")

    def write(self, folder: Path) -> None:
        write_atomically(folder / CARD, self.model_dump_json(indent=1) + "\n")


def read_card(folder: Path) -> TrainingCard:
    """The card in `folder`, after checking that every file it names is the one that was written. ModelError when a
    file, or the card itself, is missing or changed.
    """
    fix = "Copy the model again, or train it again."
    try:
        card = TrainingCard.model_validate_json((folder / CARD).read_bytes())
    except FileNotFoundError:
        raise ModelError("The trained model has no card.", where=str(folder / CARD), fix=fix) from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise ModelError(
            f"The card of the trained model can't be read: {place or 'all of it'}: {problem['msg']}.",
            where=str(folder / CARD),
            fix=fix,
        ) from None
    for name, expected in card.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"The trained model has no {name}, which its card names.", where=str(folder), fix=fix)
        if file_digest(path) != expected:
            raise ModelError("The file is not the one that was trained: its digest differs.", where=str(path), fix=fix)
    return card


def digests_beside_card(folder: Path) -> dict[str, str]:
    """sha256 by name of the files that a card in `folder` answers for."""
    return {name: found for name, found in file_digests(folder).items() if name != CARD}


def installed() -> dict[str, str]:
    """Versions of the packages that a training hangs on, without those that are not installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
