"""Activations of any number of conversations, streamed to memory-mapped safetensors; a killed harvest goes on.

    harvest(decoder, sequences, [Site("residual", 10), Site("mlp", 12)], "last", folder=Path("activations"))

A folder has `harvest.json` (what was asked of which model, and the digest of every shard), `rows.safetensors` (where
each conversation's rows are, and at which positions) and the shards: rows of consecutive conversations, one tensor per
site. A shard is computed by itself and put in place when it is whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import ValidationError
from torch import Tensor

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.sites import Site, check_sites
from superalign.provenance.digest import file_digest
from superalign.runs.cost import count
from superalign.runs.disk import FolderLock, disk_errors, sync_folder, write_atomically
from superalign.runs.progress import advance

# The last position of each conversation, all, the last so many (or as many as there are), or those listed for each.
Positions: TypeAlias = Literal["last", "all"] | int | Sequence[Sequence[int]]

# A shard ends where it reaches either: what is held in memory, and what a killed harvest computes again.
SHARD_BYTES = 2**26
SHARD_TOKENS = 2**16
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
ABOUT, ROWS = "harvest.json", "rows.safetensors"


class Shard(Record):
    """A finished file of activations."""

    sha256: str
    bytes: int


class Request(Record):
    """What was asked; a folder is good for one."""

    model: str
    sequences: str
    sites: list[str]
    positions: str
    dtype: str


class About(Record):
    """`harvest.json`."""

    format: Literal[1] = 1
    request: Request
    rows: Shard
    edges: list[int]
    shards: dict[str, Shard]


@dataclass(frozen=True)
class Harvest:
    """A finished harvest. Tensors are views of the files: pages are read when they are touched, and can be dropped."""

    folder: Path
    about: About

    @classmethod
    def open(cls, folder: Path) -> Harvest:
        """InputError when there is none, or it has not been finished."""
        fix = "Run the same harvest again: it goes on where it was."
        if not (folder / ABOUT).is_file():
            raise InputError("There is no harvest here.", where=str(folder), fix="Name a folder that harvest() filled.")
        about = read_about(folder)
        names = [shard_name(i) for i in range(len(about.edges) - 1)]
        for name, shard in [(ROWS, about.rows), *((name, about.shards.get(name)) for name in names)]:
            path = folder / name
            if shard is None or not path.is_file():
                raise InputError(
                    f"The harvest has not been finished: {path.name} is missing.", where=str(folder), fix=fix
                )
            if path.stat().st_size != shard.bytes:
                raise InputError("A file of the harvest is truncated.", where=str(path), fix=fix)
        return cls(folder, about)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sites(self) -> list[Site]:
        return [parse_site(site) for site in self.about.request.sites]

    @cached_property
    def offsets(self) -> Int[np.ndarray, "sequences+1"]:
        """Sequence i has rows offsets[i] to offsets[i + 1]."""
        return self._rows["offsets"].numpy()

    @cached_property
    def positions(self) -> Int[np.ndarray, "rows"]:
        """Which position of its conversation each row is."""
        return self._rows["positions"].numpy()

    def shards(self, site: Site) -> list[Float[Tensor, "rows width"]]:
        """All rows, in order, as they lie on disk: one view per file."""
        return [self._tensor(i, site) for i in range(len(self.about.edges) - 1)]

    def of(self, sequence: int, site: Site) -> Float[Tensor, "positions width"]:
        """The rows of one conversation."""
        shard = int(np.searchsorted(self.about.edges, sequence, side="right")) - 1
        start, stop = self.offsets[[sequence, sequence + 1]] - self.offsets[self.about.edges[shard]]
        return self._tensor(shard, site)[start:stop]

    def load(self, site: Site) -> Float[Tensor, "rows width"]:
        """All rows as one tensor, in memory."""
        return torch.cat(self.shards(site))

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        return mapped(self.folder / ROWS)

    @cached_property
    def _open(self) -> dict[int, dict[str, Tensor]]:
        return {}

    def _tensor(self, shard: int, site: Site) -> Tensor:
        if site not in self.sites:
            raise InputError(f"{site} was not harvested.", fix=f"There are {', '.join(self.about.request.sites)}.")
        if shard not in self._open:
            self._open[shard] = mapped(self.folder / shard_name(shard))
        return self._open[shard][str(site)]


def harvest(
    decoder: Decoder,
    sequences: Sequence[TokenIds],
    sites: Sequence[Site],
    positions: Positions = "last",
    *,
    folder: Path,
    dtype: torch.dtype | None = None,
) -> Harvest:
    """What is at `sites` at the given positions of each sequence, in `folder`; in the model's own precision unless
    `dtype` says otherwise. Called again after it was killed, it goes on.

    InputError when sequences, sites or positions make no sense, the folder holds another harvest, or a value does not
    fit into float16; RunError when the disk is full.
    """
    plan = Plan(decoder, sequences, sorted(set(sites)), positions, dtype or decoder.head.dtype)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
        try:
            about = begun(folder, plan)
            for i, (start, stop) in enumerate(zip(about.edges[:-1], about.edges[1:], strict=True)):
                if not whole(folder / shard_name(i), about.shards.get(shard_name(i))):
                    shard = write_tensors(folder / shard_name(i), plan.rows(start, stop))
                    about = about.model_copy(update={"shards": about.shards | {shard_name(i): shard}})
                    write_atomically(folder / ABOUT, about.model_dump_json(indent=1))
                advance(stop, len(sequences))
        finally:
            lock.release()
    return Harvest.open(folder)


@dataclass(frozen=True)
class Plan:
    """A harvest, checked."""

    decoder: Decoder
    sequences: Sequence[TokenIds]
    sites: list[Site]
    positions: Positions
    dtype: torch.dtype

    def __post_init__(self) -> None:
        if not self.sites or not self.sequences or not all(self.sequences):
            raise InputError("There is nothing to harvest.", fix="Give sites, and conversations of at least one token.")
        check_sites(self.sites, self.decoder.depth)
        if self.dtype not in DTYPES.values():
            raise InputError(f"Activations are not stored as {self.dtype}.", fix=f"Choose one of {', '.join(DTYPES)}.")
        if isinstance(self.positions, int) and self.positions < 1:
            raise InputError(f"There are no last {self.positions} positions.", fix="Give 1 or more.")
        if isinstance(self.positions, str) and self.positions not in ("last", "all"):
            raise InputError(f"There are no positions {self.positions!r}.", fix="Give 'last', 'all', or numbers.")
        if isinstance(self.positions, Sequence) and not isinstance(self.positions, str):
            if len(self.positions) != len(self.sequences):
                raise InputError("Positions are not listed for each conversation.", fix="Give as many lists as those.")
            for i, (listed, sequence) in enumerate(zip(self.positions, self.sequences, strict=True)):
                if any(not -len(sequence) <= position < len(sequence) for position in listed):
                    raise InputError(
                        f"Conversation {i} has {len(sequence)} positions; {list(listed)} are not all among them.",
                        fix="Count from 0, or from the end with -1 and below.",
                    )

    @cached_property
    def request(self) -> Request:
        positions = self.positions if isinstance(self.positions, str | int) else numbers_digest(self.positions)
        return Request(
            model=self.decoder.identity(max(site.layer for site in self.sites)),
            sequences=numbers_digest(self.sequences),
            sites=[str(site) for site in self.sites],
            positions=str(positions),
            dtype=next(name for name, dtype in DTYPES.items() if dtype == self.dtype),
        )

    def wanted(self, i: int) -> Int[np.ndarray, "_"]:
        """The positions asked for of one sequence, from its beginning."""
        length = len(self.sequences[i])
        if self.positions == "all":
            return np.arange(length)
        if self.positions == "last":
            return np.array([length - 1])
        if isinstance(self.positions, int):
            return np.arange(max(0, length - self.positions), length)
        return np.array(self.positions[i], dtype=np.int64) % length

    def edges(self, counts: Int[np.ndarray, "sequences"]) -> list[int]:
        """Where shards begin and end, in sequences."""
        row = sum(map(self.decoder.width_at, self.sites)) * self.dtype.itemsize
        edges, held, run = [0], 0, 0
        for i, (rows, sequence) in enumerate(zip(counts.tolist(), self.sequences, strict=True)):
            if i > edges[-1] and (held + rows * row > SHARD_BYTES or run + len(sequence) > SHARD_TOKENS):
                edges.append(i)
                held = run = 0
            held, run = held + rows * row, run + len(sequence)
        return [*edges, len(self.sequences)]

    def rows(self, start: int, stop: int) -> dict[str, Float[Tensor, "rows width"]]:
        """The activations of some consecutive sequences, by site."""
        sequences, wanted = self.sequences[start:stop], [self.wanted(i) for i in range(start, stop)]
        offsets = np.cumsum([0, *map(len, wanted)])
        found = {site: torch.empty(offsets[-1], self.decoder.width_at(site), dtype=self.dtype) for site in self.sites}
        for batch, picked in self.decoder.visit(sequences, self.sites, wanted):
            places = torch.from_numpy(np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in batch]))
            for site, rows in picked.items():
                found[site][places] = self._converted(rows, site).cpu()
        count(tokens=sum(map(len, sequences)), forward_passes=len(sequences))
        return {str(site): rows for site, rows in found.items()}

    def _converted(self, rows: Float[Tensor, "rows width"], site: Site) -> Float[Tensor, "rows width"]:
        converted = rows.to(self.dtype)
        if self.dtype == torch.float16 and bool((converted.isinf() & ~rows.isinf()).any()):
            raise InputError(
                f"Activations of up to {float(rows.abs().max()):.3g} do not fit into float16.",
                where=str(site),
                fix="Store them as bfloat16 or float32.",
            )
        return converted


def begun(folder: Path, plan: Plan) -> About:
    """What is there of this harvest, which begins if nothing is. InputError when another one lies there."""
    if (folder / ABOUT).is_file():
        about = read_about(folder)
        asked, before = plan.request.model_dump(), about.request.model_dump()
        if other := [name for name in asked if asked[name] != before[name]]:
            named = [name for name in other if name != "model"] or other  # of the model, only what was run counts
            raise InputError(
                f"This folder holds a harvest with other {', '.join(named)}.",
                where=str(folder),
                fix="Give the same arguments again, or another folder.",
            )
        if whole(folder / ROWS, about.rows):
            return about
    wanted = [plan.wanted(i).astype(np.int32) for i in range(len(plan.sequences))]
    counts = np.array([len(positions) for positions in wanted], dtype=np.int64)
    offsets = torch.from_numpy(np.concatenate([[0], counts.cumsum()]).astype(np.int64))
    rows = write_tensors(folder / ROWS, {"offsets": offsets, "positions": torch.from_numpy(np.concatenate(wanted))})
    about = About(request=plan.request, rows=rows, edges=plan.edges(counts), shards={})
    write_atomically(folder / ABOUT, about.model_dump_json(indent=1))
    return about


def whole(path: Path, shard: Shard | None) -> bool:
    """Whether a shard is there, as it was written."""
    return shard is not None and path.is_file() and file_digest(path) == shard.sha256


def read_about(folder: Path) -> About:
    try:
        return About.model_validate_json((folder / ABOUT).read_bytes())
    except ValidationError:
        raise InputError(
            "The file is damaged, or of a newer version.", where=str(folder / ABOUT), fix="Harvest into another folder."
        ) from None


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> Shard:
    """Write a whole safetensors file, or leave what was there. On disk when this returns."""
    from safetensors.torch import save_file

    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(tensors, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        found = Shard(sha256=file_digest(partial), bytes=partial.stat().st_size)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return found


def mapped(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file as views of it."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def numbers_digest(rows: Iterable[Sequence[int]]) -> str:
    """sha256 of lists of numbers, one after another: there may be more than fit in memory twice."""
    found = hashlib.sha256()
    for row in rows:
        found.update(len(row).to_bytes(8, "little") + np.asarray(row, dtype=np.int64).tobytes())
    return found.hexdigest()


def shard_name(i: int) -> str:
    return f"shard-{i:05}.safetensors"


def parse_site(text: str) -> Site:
    kind, layer = text.split("-")
    return Site(kind, int(layer))  # type: ignore[arg-type]  # which Site checks
