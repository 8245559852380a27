"""A problem's samples on disk: what may be given, and apart from it the truth."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from superalign.contracts.errors import RunError
from superalign.contracts.research import Arrays, Sample
from superalign.runs.disk import sync_folder, write_atomically


def write_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """Every sample as two files, `NAME.given.safetensors` and `NAME.truth.safetensors`. All are there, or the folder is
    not: a part of the samples would be taken for all of them by a run that goes on.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    for old in (partial, folder):
        shutil.rmtree(old, ignore_errors=True)
    partial.mkdir(parents=True)
    for sample in samples:
        write_arrays(partial / f"{sample.name}.given.safetensors", sample.given)
        write_arrays(partial / f"{sample.name}.truth.safetensors", sample.truth)
    partial.rename(folder)
    sync_folder(folder.parent)


def read_samples(folder: Path) -> list[Sample]:
    """The samples in `folder`, by name. RunError when one is damaged or there are none."""
    names = sorted(path.name.removesuffix(".given.safetensors") for path in folder.glob("*.given.safetensors"))
    if not names:
        raise RunError("There are no samples.", where=str(folder), fix="Run the same command again: it prepares them.")
    return [
        Sample(
            name=name,
            given=read_arrays(folder / f"{name}.given.safetensors"),
            truth=read_arrays(folder / f"{name}.truth.safetensors"),
        )
        for name in names
    ]


def write_arrays(path: Path, arrays: Arrays) -> None:
    write_atomically(path, save({name: np.asarray(array, order="C") for name, array in arrays.items()}))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """RunError when the file is missing or damaged."""
    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"A file of arrays can't be read: {error}.",
            where=str(path),
            fix="Remove the folder that it is in and run the same command again.",
        ) from None
