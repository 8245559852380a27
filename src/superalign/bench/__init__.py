"""Benchmarks of our fast paths against what a researcher would write or install today, with results proven equal.

A bench is a module here with `run(repeats: int) -> Benchmark`, and a line in `BENCHES`. It is imported when it is run.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from superalign.contracts.errors import UnknownName

if TYPE_CHECKING:
    from superalign.bench.compare import Benchmark

BENCHES = {
    "activations": "Three layers at the answer position of 512 questions, against a loop over transformers.",
    "generation": "Greedy answers to 32 questions, against generate of transformers.",
    "probes": "Logistic and mean-difference probes on every layer, against a scikit-learn loop.",
}


def find(name: str) -> Callable[[int], Benchmark]:
    """What runs the bench of that name, given the number of repeats. UnknownName when there is none."""
    if name not in BENCHES:
        raise UnknownName("bench", name, BENCHES)
    run: Callable[[int], Benchmark] = import_module(f"superalign.bench.{name}").run
    return run
