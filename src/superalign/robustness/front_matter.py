"""Markdown with front matter: YAML between two lines of three dashes, then text for a model to read."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TypeVar

import yaml
from pydantic import ValidationError

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record

SomeRecord = TypeVar("SomeRecord", bound=Record)
FENCE = "---\n"


def shipped(folder: str) -> Traversable:
    """A folder of this package's data."""
    return files("superalign.robustness") / "data" / folder


def read_folder(folder: Traversable, kind: type[SomeRecord]) -> list[SomeRecord]:
    """Every `.md` file in `folder`, by name. InputError for one that can't be read, and where there is none."""
    found = [file for file in folder.iterdir() if file.name.endswith(".md")] if folder.is_dir() else []
    if not found:
        raise InputError("There is no .md file in this folder.", where=str(folder), fix="Name a folder that has some.")
    return [read(file, kind) for file in sorted(found, key=lambda file: file.name)]


def read(file: Traversable, kind: type[SomeRecord]) -> SomeRecord:
    """The front matter's keys, and the rest as `text`. InputError naming the file and the key that is wrong."""
    try:
        opening, header, text = file.read_text(encoding="utf-8").split(FENCE, 2)
        keys = yaml.safe_load(header)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        what = str(error).splitlines()[0] if isinstance(error, OSError | yaml.YAMLError) else "it has no front matter"
        raise InputError(
            f"This file can't be read: {what}.",
            where=str(file),
            fix="Begin with ---, then YAML, then --- and the text.",
        ) from None
    if opening or not isinstance(keys, dict):
        raise InputError("The front matter holds no keys.", where=str(file), fix="Write them between lines of ---.")
    if "text" in keys:
        raise InputError("`text`: not a key here.", where=str(file), fix="Write the text below the front matter.")
    try:
        return kind.model_validate({**keys, "text": text.strip()})
    except ValidationError as error:
        detail = error.errors()[0]
        what = f"`{'.'.join(map(str, detail['loc']))}`: {detail['msg']}."
        raise InputError(what, where=str(file), fix="Mend that key of the front matter.") from None
