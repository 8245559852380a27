"""The residual stream at the answer position after three layers: ours, and as three other tools read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from superalign.bench.compare import INSTALL, Peer, Settings, compare, peer_package
from superalign.bench.floor import Needs, TokenCost, products, profile, weight_bytes
from superalign.bench.machine import installed
from superalign.bench.memory import POSITIONS, harvest_growth
from superalign.bench.records import Benchmark, Equality, Figure, Profile
from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.interpretability.probes import probe_auroc
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.source import Loaded, load, resolve
from superalign.models.subject import Chat
from superalign.tasks.cities import Cities

GOAL = 3.0
BOUND = 1e-3  # largest difference in float32
AUROC_BOUND = 0.005  # between precisions
MODEL, QUESTIONS, BATCH = "smollm2-135m", 512, 32
DEPTHS = (1 / 3, 1 / 2, 2 / 3)  # where a probe of truth is looked for

Activations = Float[Tensor, "questions layers width"]
Harvest = Callable[[], Activations]


def run(settings: Settings, model: str = MODEL, questions: int = QUESTIONS, positions: int = POSITIONS) -> Benchmark:
    """The bench, on any model that `resolve` knows, in float32; `positions` are those that memory is measured with."""
    source = resolve(model)
    loaded = load(source, settings.device, torch.float32)
    chat = Chat(loaded.tokenizer)
    asked, key = Cities().load(limit=-(-questions // 2))
    asked = asked[:questions]
    prompts = [chat.encode(question.asked) for question in asked]
    decoder = Decoder(loaded.model)
    layers = [round(part * decoder.depth) for part in DEPTHS]

    def ours() -> Activations:
        return Decoder(loaded.model).last_states(prompts, layers)  # a new one, which remembers nothing

    def theirs(prepare: Callable[..., Harvest], *needs: str) -> Peer[Activations]:
        """Each on a model of its own, since each has it attend, or hooks it, in its own way."""
        return Peer(GOAL, _equal, lambda: prepare(load(source, settings.device, torch.float32), prompts, layers), needs)

    half = Decoder(load(source, settings.device, torch.bfloat16).model).last_states(prompts, layers)
    figures = [_precision(ours(), half, layers, asked, key)]
    if installed("psutil"):
        settings.say(f"Measuring the memory that {positions:,} positions take.")
        figures.append(harvest_growth(positions))
    else:
        settings.say(f"Memory is not measured: psutil is not installed ({INSTALL}).")
    found = compare(
        "activations",
        ours,
        {
            "transformers, a loop": theirs(_transformers),
            "nnsight": theirs(_nnsight, "nnsight"),
            "TransformerLens": theirs(_transformer_lens, "transformer-lens"),
        },
        settings,
        profile=lambda result, seconds: _profile(ours, decoder, prompts, layers, result, seconds, settings.device),
        notes=(
            f"{len(prompts)} questions like {asked[0].prompt!r}, of {min(map(len, prompts))} to "
            f"{max(map(len, prompts))} tokens; the residual stream of {model} after layers "
            f"{', '.join(map(str, layers))} of {decoder.depth} at the last token, in float32.",
            f"The peers run batches of {BATCH}, padded on the left, and keep the last position of the three layers. "
            "nnsight and TransformerLens stop after the last of them; transformers gives all with "
            "output_hidden_states.",
        ),
    )
    return found.model_copy(update={"figures": tuple(figures)})


def _batches(loaded: Loaded, prompts: Sequence[TokenIds]) -> Iterator[dict[str, Tensor]]:
    """What the documentation of transformers gives to a model: padded on the left, positions from the mask."""
    for start in range(0, len(prompts), BATCH):
        batch = {"input_ids": [list(prompt) for prompt in prompts[start : start + BATCH]]}
        padded = loaded.tokenizer.pad(batch, padding_side="left", return_tensors="pt").to(loaded.model.device)
        positions = (padded["attention_mask"].cumsum(-1) - 1).clamp_min(0)
        yield {"input_ids": padded["input_ids"], "attention_mask": padded["attention_mask"], "position_ids": positions}


def _transformers(loaded: Loaded, prompts: Sequence[TokenIds], layers: Sequence[int]) -> Harvest:
    @torch.no_grad()
    def harvest() -> Activations:
        found = []
        for batch in _batches(loaded, prompts):
            hidden = loaded.model(**batch, output_hidden_states=True).hidden_states
            found.append(torch.stack([hidden[layer][:, -1] for layer in layers], dim=1))
        return torch.cat(found)

    return harvest


def _nnsight(loaded: Loaded, prompts: Sequence[TokenIds], layers: Sequence[int]) -> Harvest:
    nnsight = peer_package("nnsight")
    model = nnsight.TransformersModel(loaded.model, tokenizer=loaded.tokenizer)

    @torch.no_grad()
    def harvest() -> Activations:
        found = []
        for batch in _batches(loaded, prompts):
            with model.trace(**batch) as tracer:
                states = nnsight.save([])
                for layer in layers:
                    states.append(model.model.layers[layer - 1].output[:, -1])
                tracer.stop()
            found.append(torch.stack(list(states), dim=1))
        return torch.cat(found)

    return harvest


def _transformer_lens(loaded: Loaded, prompts: Sequence[TokenIds], layers: Sequence[int]) -> Harvest:
    bridge = peer_package("transformer_lens.model_bridge").TransformerBridge.boot_transformers(
        loaded.model.config.name_or_path,
        hf_model=loaded.model,
        tokenizer=loaded.tokenizer,
        device=loaded.model.device,
        dtype=loaded.model.dtype,
    )
    names = [f"blocks.{layer - 1}.hook_resid_post" for layer in layers]

    @torch.no_grad()
    def harvest() -> Activations:
        found = []
        for batch in _batches(loaded, prompts):  # token ids, to which it prepends nothing
            _, cache = bridge.run_with_cache(
                batch["input_ids"],
                attention_mask=batch["attention_mask"],
                position_ids=batch["position_ids"],
                names_filter=names,
                stop_at_layer=max(layers),
                pos_slice=-1,
                return_type=None,
            )
            found.append(torch.cat([cache[name] for name in names], dim=1))
        return torch.cat(found)

    return harvest


def _equal(ours: Activations, peer: Activations) -> Equality:
    difference = float((ours - peer).abs().max())
    return Equality(passed=difference <= BOUND, measured=difference, bound=BOUND, what="largest difference")


def _precision(
    full: Activations, half: Activations, layers: Sequence[int], asked: Sequence[Question], key: AnswerKey
) -> Figure:
    """Whether a probe reads as much from bfloat16 as from float32, at the layer that it reads best: where it reads
    next to nothing, its AUROC hangs on the last digits of any precision.
    """
    truth, groups = key.of(asked), [question.group for question in asked]
    read = [[probe_auroc(each[:, i].float().cpu().numpy(), truth, groups) for each in (full, half)] for i in range(3)]
    by_layer = ", ".join(
        f"{one:.4f} and {other:.4f} after layer {layer}" for layer, (one, other) in zip(layers, read, strict=True)
    )
    best, of_half = max(read)
    return Figure(
        name="precision",
        value=abs(best - of_half),
        unit="difference in AUROC of a probe at the layer it reads best, float32 against bfloat16",
        at_most=AUROC_BOUND,
        how=f"Out of fold by group, on these questions: {by_layer}.",
    )


def _profile(
    ours: Harvest,
    decoder: Decoder,
    prompts: Sequence[TokenIds],
    layers: Sequence[int],
    result: Activations,
    seconds: float,
    device: str,
) -> Profile:
    needs = Needs(
        flops=TokenCost.of(decoder).flops(prompts, max(layers)),
        bytes=weight_bytes(decoder, max(layers)) + result.nbytes,
        products=products(decoder),
        dtype=decoder.head.dtype,
    )
    left = "what only some of the questions share is read for each, and short ones are padded to the longest of a batch"
    return profile(ours, seconds, needs, device, left)
