"""Summaries of a stream whose size does not grow with it. Two of them merge into that of both streams together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from jaxtyping import Float, UInt8, UInt64

from superalign.control.fleet.events import hashed

REGISTER_BITS = 12  # 4,096 registers of a byte: a relative error of 1.6 %
SAMPLE = 20_000  # so that a quantile's rank is off by at most 0.015 with a probability of 99.9 %
NAMES = 64


def no_registers() -> UInt8[np.ndarray, "registers"]:
    return np.zeros(1 << REGISTER_BITS, np.uint8)


@dataclass(frozen=True)
class Distinct:
    """How many different things there were, about (HyperLogLog: Flajolet et al. 2007; linear counting where few)."""

    registers: UInt8[np.ndarray, "registers"] = field(default_factory=no_registers)

    def added(self, hashes: UInt64[np.ndarray, "n"]) -> Self:
        """With these, of which each is 64 bits that look random."""
        registers = self.registers.copy()
        rest = hashes << np.uint64(REGISTER_BITS)
        # The place of the first 1 in the rest, counted from 1: floats of powers of two are exact.
        width = 64 - REGISTER_BITS
        high = rest >> np.uint64(REGISTER_BITS)
        first = np.where(high > 0, width - np.floor(np.log2(np.maximum(high, 1))), width + 1).astype(np.uint8)
        np.maximum.at(registers, (hashes >> np.uint64(width)).astype(np.int64), first)
        return type(self)(registers)

    def merged(self, other: Self) -> Self:
        return type(self)(np.maximum(self.registers, other.registers))

    @property
    def count(self) -> float:
        size = len(self.registers)
        estimate = 0.7213 / (1 + 1.079 / size) * size**2 / np.exp2(-self.registers.astype(float)).sum()
        empty = int((self.registers == 0).sum())
        return float(size * np.log(size / empty)) if empty and estimate <= 2.5 * size else float(estimate)


@dataclass(frozen=True)
class Frequent:
    """The most frequent names. A count is too low by at most `short`, which is at most 1 / (NAMES + 1) of all (Misra
    and Gries 1982; merged as of Agarwal et al. 2013).
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    short: int = 0

    def added(self, counts: Mapping[str, int]) -> Self:
        together = {name: self.counts.get(name, 0) + counts.get(name, 0) for name in {**self.counts, **counts}}
        if len(together) <= NAMES:
            return type(self)(together, self.short)
        less = sorted(together.values(), reverse=True)[NAMES]
        return type(self)({name: n - less for name, n in together.items() if n > less}, self.short + less)

    def merged(self, other: Self) -> Self:
        found = self.added(other.counts)
        return type(self)(found.counts, found.short + other.short)


@dataclass(frozen=True)
class Sample:
    """Values drawn without replacement, each with the same chance: those with the smallest keys (bottom-k, Cohen and
    Kaplan 2007). Keys are made of `salt` and of how many values came before, so that a sample is the same each time.
    """

    keys: UInt64[np.ndarray, "sample"] = field(default_factory=lambda: np.zeros(0, np.uint64))
    values: Float[np.ndarray, "sample"] = field(default_factory=lambda: np.zeros(0))
    seen: int = 0

    def added(self, values: Float[np.ndarray, "n"], salt: int = 0) -> Self:
        numbers = np.arange(self.seen, self.seen + len(values), dtype=np.uint64) + (np.uint64(salt) << np.uint64(40))
        return self._smallest(scrambled(numbers), values, self.seen + len(values))

    def merged(self, other: Self) -> Self:
        """With a sample of another stream, whose salt was another."""
        return self._smallest(other.keys, other.values, self.seen + other.seen)

    def quantiles(self, shares: Iterable[float]) -> Float[np.ndarray, "shares"]:
        return np.asarray(np.quantile(self.values, list(shares), method="inverted_cdf"))

    def _smallest(self, keys: UInt64[np.ndarray, "n"], values: Float[np.ndarray, "n"], seen: int) -> Self:
        keys, values = np.concatenate([self.keys, keys]), np.concatenate([self.values, values])
        if len(keys) > SAMPLE:
            kept = np.argpartition(keys, SAMPLE)[:SAMPLE]
            keys, values = keys[kept], values[kept]
        return type(self)(keys, values, seen)


def distinct_names(names: Iterable[str]) -> UInt64[np.ndarray, "n"]:
    """The hashes of names, to be counted by `Distinct`."""
    return hashed(list(names))


def scrambled(values: UInt64[np.ndarray, "n"]) -> UInt64[np.ndarray, "n"]:
    """Every bit hangs on every bit (splitmix64, Steele, Lea and Flood 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
