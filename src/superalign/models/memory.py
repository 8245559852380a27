"""Out of memory halves the batch and goes on.

Whoever runs batches hands them to a `Halving` with the function that runs one, which must bear being called again:

    halving = Halving()
    for batch, result in halving.run(batches_by_length(lengths), run, lengths):
        ...

Generation runs the whole answer of a batch in `run`. Training splits a step in the same way, if `run` returns the
gradients of its share of the step's loss (torch.autograd.grad) and the caller adds them up: a `backward` that fails
half-way would leave some added already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from superalign.contracts.errors import InputError

Result = TypeVar("Result")

# The CPU allocator and Apple's raise no type of their own.
OUT_OF_MEMORY = ("can't allocate memory", "DefaultCPUAllocator", "backend out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


class Halving:
    """Runs the batches of one call. From the first one that did not fit, batches stay smaller."""

    def __init__(self) -> None:
        self.largest = math.inf  # padded tokens

    def run(
        self, batches: Iterable[list[int]], run: Callable[[list[int]], Result], lengths: Sequence[int]
    ) -> Iterator[tuple[list[int], Result]]:
        """Each batch with what `run` makes of it; one that does not fit is cut in two, and both are tried. `lengths`
        are those of the conversations that batches name. InputError when a single one does not fit.
        """
        for whole in batches:
            waiting = [whole]
            while waiting:
                batch = waiting.pop()
                longest = max(lengths[i] for i in batch)
                if len(batch) == 1:
                    with one_fits(longest):
                        result = run(batch)
                elif len(batch) * longest > self.largest:
                    waiting += halves(batch)
                    continue
                elif attempt := attempted(run, batch):
                    [result] = attempt
                else:
                    self.largest = len(batch) * longest // 2
                    waiting += halves(batch)
                    continue
                yield batch, result


def attempted(run: Callable[[list[int]], Result], batch: list[int]) -> tuple[Result] | None:
    """What `run` makes of a batch, or None when it does not fit in memory."""
    try:
        return (run(batch),)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    free()  # only here: until the exception is forgotten, it holds the failed pass and its tensors
    return None


def halves(batch: list[int]) -> list[list[int]]:
    """The two halves of a batch, the first one last: they are taken from the end."""
    middle = (len(batch) + 1) // 2
    return [batch[middle:], batch[:middle]]


@contextmanager
def one_fits(tokens: int) -> Iterator[None]:
    """Running out of memory within is an InputError: one conversation of so many tokens, which can't be split, does not
    fit.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"One conversation of {tokens:,} tokens does not fit in memory: {str(error).splitlines()[0]}",
            fix="Shorten it, load the model in bfloat16, or use a smaller model or a device with more memory.",
        ) from None


def free() -> None:
    """Give back to the device what the failed pass has left in torch's own pool."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
