"""Greedy answers to a batch of questions: ours against `generate` of transformers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from superalign.bench.compare import Peer, Settings, compare
from superalign.bench.floor import Needs, TokenCost, products, profile, weight_bytes
from superalign.bench.records import Benchmark, Equality, Profile
from superalign.contracts.records import Message
from superalign.models.batches import TokenIds
from superalign.models.decoder import Decoder
from superalign.models.generate import generate
from superalign.models.source import Loaded, load, resolve
from superalign.models.subject import Chat
from superalign.tasks.cities import Cities

GOAL = 2.0
MODEL, CONVERSATIONS, TOKENS = "smollm2-135m", 32, 64
LONG = " Explain your answer at length."  # else most answers end after a few tokens, which only we make use of

Answers = list[list[int]]


def run(settings: Settings, model: str = MODEL, conversations: int = CONVERSATIONS, tokens: int = TOKENS) -> Benchmark:
    """The bench, on any model that `resolve` knows, in float32: only there can tokens be asked to be the same."""
    ours, theirs = (load(resolve(model), settings.device, torch.float32) for _ in range(2))  # each attends its own way
    chat = Chat(ours.tokenizer)
    questions = Cities().load(limit=-(-conversations // 2))[0][:conversations]
    prompts = [chat.encode((Message(role="user", content=question.prompt + LONG),)) for question in questions]
    decoder = Decoder(ours.model)

    def answered() -> Answers:
        return generate(Decoder(ours.model), prompts, tokens)  # a new one, which remembers no reading

    return compare(
        "generation",
        answered,
        {"transformers, generate": Peer(GOAL, _equal, lambda: lambda: _transformers(theirs, prompts, tokens))},
        settings,
        profile=lambda result, seconds: _profile(answered, decoder, prompts, result, seconds, settings.device),
        notes=(
            f"{len(prompts)} questions like {questions[0].prompt + LONG!r}, of {min(map(len, prompts))} to "
            f"{max(map(len, prompts))} tokens, answered with at most {tokens} tokens by {model} in float32, greedily.",
        ),
    )


def _transformers(loaded: Loaded, prompts: list[TokenIds], tokens: int) -> Answers:
    padded = loaded.tokenizer.pad(
        {"input_ids": [list(prompt) for prompt in prompts]}, padding_side="left", return_tensors="pt"
    ).to(loaded.model.device)
    out = loaded.model.generate(**padded, max_new_tokens=tokens, do_sample=False)
    end = loaded.tokenizer.eos_token_id
    answers: Answers = out[:, padded["input_ids"].shape[1] :].tolist()
    return [answer[: answer.index(end) + 1] if end in answer else answer for answer in answers]


def _equal(ours: Answers, peer: Answers) -> Equality:
    same = sum(answer == other for answer, other in zip(ours, peer, strict=True)) / len(peer)
    return Equality(
        passed=same == 1, measured=same, bound=1, what="share of conversations answered with the same tokens"
    )


def _profile(
    answered: Callable[[], Answers],
    decoder: Decoder,
    prompts: list[TokenIds],
    answers: Answers,
    seconds: float,
    device: str,
) -> Profile:
    """Every token hangs on the one before, so that all weights are read once for each step."""
    read = [prompt + tuple(answer[:-1]) for prompt, answer in zip(prompts, answers, strict=True)]
    steps = max(map(len, answers))
    needs = Needs(
        flops=TokenCost.of(decoder).flops(read, decoder.depth, list(map(len, answers)), logits=True),
        bytes=steps * (weight_bytes(decoder, decoder.depth) + decoder.head.nbytes),
        products=products(decoder),
        dtype=decoder.head.dtype,
    )
    left = "a step runs hundreds of small operations, and attends to room that is not filled yet"
    return profile(answered, seconds, needs, device, left)
