"""Events as columns, whatever they were read from: a few thousand at once, names replaced by small numbers."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

BUCKETS = 32  # of features. Telling models apart takes the more events the more there are.
LONGEST_NAME = 200  # characters of an agent's or kind's name
WIDEST = 16_384  # numbers in an activity vector
NOBODY = -1  # the agent of an event that names none
UNUSABLE = -1  # the kind of an event that has none
SCORE = "score"  # columns whose names begin with this are scores
COLUMNS = ("time", "agent", "kind", "feature", "id")  # beside the scores


@dataclass(frozen=True)
class Events:
    """Some events in the order of the stream. `agents` and `kinds` index their names; `features` are buckets, -1 for
    none; `ids` are hashed, None where the stream has none; `places` are where in the file each event begins. `garbled`
    counts what was no event at all.
    """

    agent_names: Sequence[str]
    agents: Int[np.ndarray, "events"]
    kind_names: Sequence[str]
    kinds: Int[np.ndarray, "events"]
    times: Float[np.ndarray, "events"]
    scores: Mapping[str, Float[np.ndarray, "events"]]
    features: Int[np.ndarray, "events"]
    places: Int[np.ndarray, "events"]
    ids: UInt64[np.ndarray, "events"] | None = None
    garbled: int = 0

    def __len__(self) -> int:
        return len(self.agents)

    def only(self, kept: Bool[np.ndarray, "events"]) -> Events:
        """The events that are `kept`."""
        return replace(
            self,
            agents=self.agents[kept],
            kinds=self.kinds[kept],
            times=self.times[kept],
            scores={name: values[kept] for name, values in self.scores.items()},
            features=self.features[kept],
            places=self.places[kept],
            ids=None if self.ids is None else self.ids[kept],
        )

    def with_agents(self) -> Events:
        """Only the events that name an agent; the others count as garbled."""
        named = self.agents != NOBODY
        return self if named.all() else replace(self.only(named), garbled=self.garbled + int((~named).sum()))


def from_columns(columns: Mapping[str, Sequence[Any]], places: Int[np.ndarray, "events"], garbled: int = 0) -> Events:
    """Events of untrusted values, one sequence for each of `COLUMNS` and each score. A value of the wrong type is as
    good as none.
    """
    agent_names, agents = coded(columns["agent"])
    kind_names, kinds = coded(columns["kind"])
    found = Events(
        agent_names=agent_names,
        agents=agents,
        kind_names=kind_names,
        kinds=kinds,
        times=moments(columns["time"]),
        scores={name: numbers(values) for name, values in columns.items() if name.startswith(SCORE)},
        features=buckets(columns["feature"]),
        places=places,
        ids=hashed(columns["id"]) if any(value is not None for value in columns["id"]) else None,
        garbled=garbled,
    )
    return found.with_agents()


def coded(values: Sequence[Any]) -> tuple[list[str], Int[np.ndarray, "events"]]:
    """The names among `values`, and for each value the index of its name; -1 for what is no name."""
    try:
        index, codes = _indexed(values)
        mixed = not all(isinstance(value, str | None) for value in index)
    except TypeError:  # a list or an object, which can't be looked up
        mixed = True
    if mixed:  # False and 0.0 are looked up as 0 is, and would go by its name
        index, codes = _indexed([value if type(value) in (str, int) else None for value in values])
    names = [named(value) for value in index]
    usable = np.array([name is not None for name in names], bool)
    if not usable.all():
        codes = np.where(usable[codes], codes, -1)
    return [name or "" for name in names], codes


def _indexed(values: Sequence[Any]) -> tuple[dict[Any, int], Int[np.ndarray, "events"]]:
    index: dict[Any, int] = {}
    return index, np.fromiter((index.setdefault(value, len(index)) for value in values), np.int64, len(values))


def named(value: Any) -> str | None:
    """A name, from text or a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if value.bit_length() < 64 else None
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None


def numbers(values: Sequence[Any]) -> Float[np.ndarray, "events"]:
    """Finite numbers, and NaN for everything else."""
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.array([_number(value) for value in values], dtype=np.float64)
    if found.shape != (len(values),):  # every value a list of the same length
        return np.full(len(values), np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def moments(values: Sequence[Any]) -> Float[np.ndarray, "events"]:
    """Seconds since 1970 from numbers and from ISO 8601 text; NaN for everything else."""
    if any(isinstance(value, str) for value in values):
        return np.array([_moment(value) for value in values], dtype=np.float64)
    return numbers(values)


def _moment(value: Any) -> float:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            pass
    return float(numbers([value])[0])


def buckets(values: Sequence[Any]) -> Int[np.ndarray, "events"]:
    """The bucket of each feature: text and whole numbers by hash, lists of numbers by their direction; -1 for none."""
    known: dict[Any, int] = {}
    found = np.full(len(values), -1, np.int64)
    for place, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, list):
            found[place] = direction(numbers(value))
        elif isinstance(value, str | int):
            bucket = known.get(value)
            if bucket is None:
                bucket = known[value] = zlib.crc32(str(value).encode("utf-8", "replace")) % BUCKETS
            found[place] = bucket
    return found


def direction(vector: Float[np.ndarray, "width"]) -> int:
    """The bucket of an activity vector: on which side of random planes it lies (SimHash, Charikar 2002)."""
    if not 0 < vector.size <= WIDEST or not np.isfinite(vector).all():
        return -1
    sides = planes(len(vector)) @ vector > 0
    return int(sides @ (1 << np.arange(len(sides))))


@lru_cache(16)
def planes(width: int) -> Float[np.ndarray, "planes width"]:
    """The same for everyone, so that fingerprints can be compared."""
    return np.random.default_rng(0).standard_normal((BUCKETS.bit_length() - 1, width))


def hashed(values: Sequence[Any]) -> UInt64[np.ndarray, "events"]:
    """64 bits for each id, which whoever chooses ids can't make collide at will."""
    digests = [blake2b(str(value).encode("utf-8", "replace"), digest_size=8).digest() for value in values]
    return np.frombuffer(b"".join(digests), np.uint64)
