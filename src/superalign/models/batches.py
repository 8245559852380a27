"""Which conversations are run together: those that open alike share that, and a batch has those about as long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

TokenIds = tuple[int, ...]
OPENING = 16  # sequences that agree this far are run as one group: past a template's fixed tokens
FEW = 8  # fewer than these are not worth passes of their own
PASS_TOKENS = 4096  # tokens in one batch: enough to fill the matrix products, small enough for the caches


def shared_prefixes(sequences: Sequence[TokenIds], own: int = 1) -> Iterator[tuple[list[int], int]]:
    """Groups of sequences that open alike, each with the length of what it shares; the few that open like few others
    make one group more.

    Every sequence keeps its last `own` positions out of that: those whose states somebody wants.
    """
    openings: dict[TokenIds, list[int]] = {}
    for i, sequence in enumerate(sequences):
        openings.setdefault(sequence[: min(OPENING, max(0, len(sequence) - own))], []).append(i)
    groups = [index for index in openings.values() if len(index) >= FEW]
    if few := [i for index in openings.values() if len(index) < FEW for i in index]:
        groups.append(sorted(few))
    for index in groups:
        first, last = (pick(sequences[i] for i in index) for pick in (min, max))
        yield index, common_prefix(first, last, max(0, min(len(sequences[i]) for i in index) - own))


def last_tokens(sequences: Sequence[TokenIds], own: Sequence[int]) -> list[TokenIds]:
    """The `own` last tokens of each sequence."""
    return [sequence[len(sequence) - kept :] for sequence, kept in zip(sequences, own, strict=True)]


def common_prefix(a: TokenIds, b: TokenIds, limit: int) -> int:
    """Number of leading tokens that `a` and `b` share, at most `limit`."""
    for i in range(min(limit, len(a), len(b))):
        if a[i] != b[i]:
            return i
    return min(limit, len(a), len(b))


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices in batches of similar length, each of at most PASS_TOKENS padded tokens."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True):
        if batch and (len(batch) + 1) * lengths[batch[0]] > PASS_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
