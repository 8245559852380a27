"""Is a model folder whole? Cheap checks that read headers and sizes, and the hashes that name its content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from superalign.contracts.errors import ModelError
from superalign.provenance.digest import file_digest

DELTA = "delta.safetensors"  # tensors in place of some of a base's own
LARGEST_HEADER = 100_000_000  # the format's own limit, in bytes
MODEL_SUFFIXES = {".safetensors", ".json", ".jinja", ".model", ".txt"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


def has_tokenizer(folder: Path) -> bool:
    """Whether a model folder brings a tokenizer of its own."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def check_folder(
    folder: Path, *, tokenizer: bool = True, fix: str = "Copy the model again from where it came from."
) -> None:
    """ModelError unless `folder` holds a configuration, whole safetensors weights and, if asked for, a tokenizer."""
    config = read_json(folder / "config.json", fix=fix)
    if "model_type" not in config:
        raise ModelError("The configuration names no model_type.", where=str(folder / "config.json"), fix=fix)
    if tokenizer and not has_tokenizer(folder):
        raise ModelError(
            "The model folder has no tokenizer.",
            where=str(folder),
            fix="Save it beside the weights, tokenizer.save_pretrained(folder), or name the model's --base.",
        )
    for path in weight_files(folder, fix=fix):
        check_safetensors(path, fix=fix)


def weight_files(folder: Path, *, fix: str) -> list[Path]:
    """The safetensors files of a model folder, sharded or not. ModelError when one is missing or only pickles exist."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if index.is_file():
        paths = sorted({folder / name for name in read_json(index, fix=fix).get("weight_map", {}).values()})
        for path in paths:
            if not path.is_file():
                raise ModelError(f"The weights are incomplete: {path.name} is missing.", where=str(folder), fix=fix)
        return paths
    if any(folder.glob("pytorch_model*.bin")):
        raise ModelError(
            "The weights are pickle files, which can run code when opened.",
            where=str(folder),
            fix="Save them as safetensors: model.save_pretrained(folder).",
        )
    raise ModelError("The model folder has no model.safetensors.", where=str(folder), fix=fix)


def check_safetensors(path: Path, *, fix: str) -> dict[str, tuple[int, ...]]:
    """Shapes by tensor name, from the header alone. ModelError when the file is truncated or is no safetensors."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(LARGEST_HEADER, max(size - 8, 0)):
                raise ValueError("its header is cut short or is no header")
            header: dict[str, Any] = json.loads(file.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        expected = 8 + length + max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        shapes = {name: tuple(entry["shape"]) for name, entry in tensors.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"The weights can't be read: {error}.", where=str(path), fix=fix) from None
    if size != expected:
        state = "truncated" if size < expected else "too long"
        raise ModelError(f"The weights are {state}: {size:,} bytes of {expected:,}.", where=str(path), fix=fix)
    return shapes


def is_activated(folder: Path) -> bool:
    """Whether the adapter in `folder` is at work only from where an answer begins, so that it can't be merged."""
    return bool(read_json(folder / "adapter_config.json", fix="Copy the adapter again.").get("alora_invocation_tokens"))


def read_json(path: Path, *, fix: str) -> dict[str, Any]:
    """A JSON object from a file of a model folder. ModelError when it is missing or not one."""
    if not path.is_file():
        raise ModelError(f"The model folder has no {path.name}.", where=str(path.parent), fix=fix)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ModelError("The file is not JSON.", where=str(path), fix=fix) from None
    if not isinstance(content, dict):
        raise ModelError("The file holds no JSON object.", where=str(path), fix=fix)
    return content


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by name of the files that make the model what it is: weights, configuration, tokenizer."""
    return {
        path.name: file_digest(path)
        for path in sorted(folder.iterdir())
        if path.suffix in MODEL_SUFFIXES and path.name != "source.json"
    }
