"""Which share of what a device can do our harvest and our training reach: model FLOPs of a random 7B Llama over time.

Model FLOPs are those that the work needs, whatever else is computed; the device's are what its own matrix products of
the same shapes attain in the same run. Weights are random, since FLOPs don't hang on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from superalign.bench.compare import Settings, same_threads
from superalign.bench.floor import TokenCost, attained_flops, products
from superalign.bench.machine import describe, synchronize
from superalign.bench.records import Figure, Utilization
from superalign.contracts.errors import InputError
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.learning import fit
from superalign.models.lessons import Lesson, Recipe
from superalign.models.train_layers import LayerLearner

HARVEST_GOAL, TRAINING_GOAL = 0.5, 0.4
LLAMA_7B: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
}
OPENING = 16  # tokens of a lesson's prompt; all others are its answer, so that every state of a step is wanted


@dataclass(frozen=True)
class Size:
    """How much is done in one run: `steps` of training on `batch` sequences each, every sequence once; the harvest
    reads them all.
    """

    steps: int = 4
    batch: int = 16
    tokens: int = 512
    trained_layers: int = 8


def run(settings: Settings, config: dict[str, Any] | None = None, size: Size | None = None) -> Utilization:
    """The bench, in bfloat16. Llama's `config` and `size` are those of a 7B model unless given.

    A float32 copy of what is trained, its gradient and the optimizer's state lie beside the weights: 40 GB in all.
    InputError for 7B on the processor.
    """
    if config is None and torch.device(settings.device).type == "cpu":
        raise InputError("A 7B model would take hours on the processor.", fix="Name an accelerator: --device cuda.")
    config, size = config or LLAMA_7B, size or Size()
    decoder = Decoder(random_llama(config, settings.device))
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(config["vocab_size"], (size.steps * size.batch, size.tokens), generator=generator)
    sequences: list[TokenIds] = [tuple(row) for row in drawn.tolist()]
    with same_threads(None) as threads:
        device_flops = attained_flops(products(decoder), torch.bfloat16, settings.device)
        settings.say(f"Matrix products attain {device_flops / 1e12:.2f} TFLOP/s.")
        figures = (
            _figure("harvest", HARVEST_GOAL, *_harvest(decoder, sequences, settings), device_flops),
            _figure("training", TRAINING_GOAL, *_training(decoder, sequences, size, settings), device_flops),
        )
    return Utilization(
        name="utilization",
        figures=figures,
        machine=describe(settings.device, threads),
        notes=(
            f"Llama with {sum(parameter.numel() for parameter in decoder.model.parameters()) / 1e9:.2g} billion random "
            f"weights in bfloat16; {len(sequences)} sequences of {size.tokens} random tokens, that share nothing.",
            f"Harvest: the last position after {decoder.depth} layers. Training: the last {size.trained_layers} layers "
            f"in full, {size.steps} steps of {size.batch} sequences; the reading below them is not timed.",
        ),
    )


def random_llama(config: dict[str, Any], device: str) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model: Any = LlamaForCausalLM(LlamaConfig(**config))
    finally:
        torch.set_default_dtype(before)
    return model.eval()


def _harvest(decoder: Decoder, sequences: list[TokenIds], settings: Settings) -> tuple[float, float]:
    """FLOPs and seconds."""
    flops = TokenCost.of(decoder).flops(sequences, decoder.depth)
    return flops, _seconds(lambda: Decoder(decoder.model).last_states(sequences, [decoder.depth]), settings)


def _training(decoder: Decoder, sequences: list[TokenIds], size: Size, settings: Settings) -> tuple[float, float]:
    """FLOPs and seconds of all steps. By convention, backward needs twice what forward does, but for the frozen head,
    where it needs as much.
    """
    lessons = [Lesson(sequence[:OPENING], sequence[OPENING:]) for sequence in sequences]
    first = decoder.depth - size.trained_layers
    recipe = Recipe(first_layer=first, rank=0, steps=size.steps, batch=size.batch, learning_rate=1e-5, trained="layers")
    learner = LayerLearner(decoder, lessons, first)
    read = [sequence[:-1] for sequence in sequences]  # nothing follows from the last token
    cost = TokenCost.of(decoder)
    forward = cost.flops(read, size.trained_layers, list(map(len, read)))
    logits = 2.0 * cost.head * sum(len(lesson.answer) for lesson in lessons)
    return 3 * forward + 2 * logits, _seconds(lambda: fit(learner, [lessons], recipe, seeds=[0]), settings)


def _figure(name: str, goal: float, flops: float, seconds: float, device_flops: float) -> Figure:
    return Figure(
        name=name,
        unit="model-FLOP utilisation",
        value=flops / seconds / device_flops,
        at_least=goal,
        how=f"{flops / 1e12:.3g} TFLOPs in {seconds:.3g} s, where matrix products attain "
        f"{device_flops / 1e12:.3g} TFLOP/s.",
    )


def _seconds(work: Callable[[], Any], settings: Settings) -> float:
    """The median of the repeats after a warm-up."""
    taken = []
    for _ in range(settings.repeats + 1):
        synchronize(settings.device)
        started = time.perf_counter()
        work()
        synchronize(settings.device)
        taken.append(time.perf_counter() - started)
    return median(taken[1:])
