"""Sketches are as exact as they say, and those of parts merge into that of the whole."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.control.fleet.sketches import NAMES, SAMPLE, Distinct, Frequent, Sample, distinct_names, scrambled


@pytest.mark.parametrize("size", [0, 10, 1000, 100_000])
def test_distinct_things_are_counted_within_the_error(size: int) -> None:
    hashes = scrambled(np.arange(size, dtype=np.uint64))
    found = Distinct().added(hashes).added(hashes[: size // 2])
    assert found.count == pytest.approx(size, rel=0.06, abs=2)


@settings(max_examples=15)
@given(st.sets(st.text(max_size=5), max_size=50), st.sets(st.text(max_size=5), max_size=50))
def test_distinct_merges_exactly(first: set[str], second: set[str]) -> None:
    parts = [Distinct().added(distinct_names(names)) for names in (first, second)]
    whole = Distinct().added(distinct_names(first | second))
    assert np.array_equal(parts[0].merged(parts[1]).registers, whole.registers)


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 200), max_size=100), max_size=8))
def test_frequent_names_are_too_low_by_no_more_than_it_says(blocks: list[list[int]]) -> None:
    truth = Counter(str(name) for block in blocks for name in block)
    parts = [Frequent().added(Counter(map(str, block))) for block in blocks]
    found = Frequent()
    for part in parts:
        found = found.merged(part)
    assert len(found.counts) <= NAMES
    assert found.short <= truth.total() / (NAMES + 1)
    for name, count in truth.items():
        assert count - found.short <= found.counts.get(name, 0) <= count


def test_a_sample_has_the_quantiles_of_the_stream_in_flat_memory() -> None:
    values = np.random.default_rng(0).permutation(np.linspace(0, 1, 200_001))
    found = Sample()
    for part in np.array_split(values, 7):
        found = found.added(part)
    assert len(found.values) == SAMPLE and found.seen == len(values)
    assert found.quantiles((0.01, 0.5, 0.99)) == pytest.approx([0.01, 0.5, 0.99], abs=0.015)
    halves = [Sample().added(half, salt=number) for number, half in enumerate(np.split(values[:-1], 2))]
    assert halves[0].merged(halves[1]).quantiles([0.5])[0] == pytest.approx(0.5, abs=0.015)
