"""Benchmarks of our fast paths against what a researcher would write or install today, with results proven equal.

A bench is a module here with `run(settings: Settings) -> Benchmark`, and a line in `BENCHES`. It is imported when it
is run.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from superalign.contracts.errors import UnknownName

if TYPE_CHECKING:
    from superalign.bench.compare import Settings
    from superalign.bench.records import Benchmark, Utilization

BENCHES = {
    "activations": "Three layers at the answer position, against transformers, nnsight and TransformerLens.",
    "fleet": "Events of a fleet counted and tested, against a loop over events and pandas.",
    "generation": "Greedy answers to 32 questions, against generate of transformers.",
    "probes": "Logistic and mean-difference probes on every layer, against a scikit-learn loop.",
    "sae": "Sparse features of activations to equal loss, against SAELens.",
    "search": "A slot of tokens filled by gradient so that an answer becomes likely, against nanoGCG.",
    "training": "A trained organism to equal accuracy, against TRL and a plain PyTorch loop.",
    "w2s": "Students of weak labels on three tasks by five seeds, against the Trainer of transformers.",
    "utilization": "Which share of a device's FLOP/s harvest and training reach on a random 7B Llama. No peer.",
}


def find(name: str) -> Callable[[Settings], Benchmark | Utilization]:
    """What runs the bench of that name. UnknownName when there is none."""
    if name not in BENCHES:
        raise UnknownName("bench", name, BENCHES)
    run: Callable[[Settings], Benchmark | Utilization] = import_module(f"superalign.bench.{name}").run
    return run
