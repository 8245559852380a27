"""Model-FLOP utilisation, on a Llama that fits into a test."""

from __future__ import annotations

import pytest

from superalign.bench import utilization
from superalign.bench.compare import Settings
from superalign.bench.floor import TokenCost
from superalign.bench.utilization import Size
from superalign.contracts.errors import InputError
from superalign.models.decoder import Decoder

SMALL = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
SIZE = Size(steps=2, batch=4, tokens=24, trained_layers=2)


def test_harvest_and_training_each_reach_a_share_of_the_device() -> None:
    found = utilization.run(Settings(repeats=1), SMALL, SIZE)
    assert [(figure.name, figure.at_least) for figure in found.figures] == [("harvest", 0.5), ("training", 0.4)]
    assert all(figure.value > 0 for figure in found.figures)
    assert "8 sequences of 24" in found.notes[0]


def test_hours_on_the_processor_are_refused() -> None:
    with pytest.raises(InputError, match="--device cuda"):
        utilization.run(Settings())


def test_training_needs_three_times_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utilization, "_seconds", lambda work, settings: 1.0)
    decoder = Decoder(utilization.random_llama(SMALL, "cpu"))
    sequences = [tuple(range(start, start + 24)) for start in range(8)]
    flops, _ = utilization._training(decoder, sequences, SIZE, Settings())
    cost, tokens = TokenCost.of(decoder), 23
    layer = 2 * (cost.layer * tokens + cost.pair * tokens * (tokens + 1) / 2)
    answers = 24 - utilization.OPENING
    assert flops == 8 * (3 * 2 * layer + 2 * 2 * cost.head * answers)
