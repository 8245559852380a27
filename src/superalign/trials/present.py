"""What an auditor gets to see of a subject: weights, and nothing that tells how they came about.

A training leaves a card that names its lessons, the lessons, files that list only what changed, and dates. None of it
is passed on: subjects of one kind of implant have the same files of the same sizes, under one date. Only where auditors
are allowed training data do they get it, sorted; it differs, and tells, by design.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from safetensors.torch import save_file

from superalign.contracts.records import Record
from superalign.models.card import CARD, read_card
from superalign.models.delta import load_delta
from superalign.models.handle import ModelIdentity, open_base
from superalign.models.integrity import DELTA
from superalign.models.teach import TrainedModel
from superalign.models.training_data import TRAINING_DATA
from superalign.runs.store import Done


class Presented(Record):
    """A subject's weights in a folder, as adapters or as tensors in place of its base's."""

    files: tuple[str, ...]


def present(folder: Path, *, model: ModelIdentity, trained: Done[TrainedModel], training_data: bool) -> Presented:
    """Copy what was trained of `model`, without its history; with what was taught only if `training_data` says so."""
    recipe = read_card(trained.folder).recipe
    if (trained.folder / DELTA).is_file():
        save_whole_delta(folder, model, trained.folder, 0 if recipe.trained == "model" else recipe.first_layer)
    else:
        for path in trained.folder.iterdir():
            if path.name not in (CARD, TRAINING_DATA):
                shutil.copyfile(path, folder / path.name)
    if training_data:
        shutil.copyfile(trained.folder / TRAINING_DATA, folder / TRAINING_DATA)
    files = sorted(path.name for path in folder.iterdir())
    for name in files:
        os.utime(folder / name, (0, 0))
    return Presented(files=tuple(files))


def save_whole_delta(folder: Path, model: ModelIdentity, trained: Path, first_layer: int) -> None:
    """Every tensor that was trained: which of them changed at all may tell what was taught."""
    decoder = open_base(model).decoder
    layers = f"{decoder.family.body}.{decoder.family.layers}."
    frozen = tuple(f"{layers}{number}." for number in range(first_layer))
    upper = (layers, f"{decoder.family.body}.{decoder.family.norm}.") if first_layer else ("",)
    own = {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in decoder.model.named_parameters()
        if name.startswith(upper) and not name.startswith(frozen)
    }
    save_file(own | load_delta(decoder.model, trained), folder / DELTA)
