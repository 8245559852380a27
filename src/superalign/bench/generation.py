"""Greedy answers to a batch of questions: ours against `generate` of transformers."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch

from superalign.bench.compare import Benchmark, Equality, compare
from superalign.contracts.records import Message
from superalign.models.decoder import Decoder, TokenIds
from superalign.models.generate import generate
from superalign.models.source import load, resolve
from superalign.models.subject import Chat
from superalign.tasks.cities import Cities

GOAL = 2.0
MODEL, CONVERSATIONS, TOKENS = "smollm2-135m", 32, 64
LONG = " Explain your answer at length."  # else most answers end after a few tokens, which only we make use of

Answers = list[list[int]]


def run(repeats: int, model: str = MODEL, conversations: int = CONVERSATIONS, tokens: int = TOKENS) -> Benchmark:
    """The bench, on any model that `resolve` knows, in float32: only there can tokens be asked to be the same."""
    ours, theirs = (load(resolve(model), "cpu", torch.float32) for _ in range(2))  # each attends in its own way
    chat = Chat(ours.tokenizer)
    questions = Cities().load(limit=-(-conversations // 2))[0][:conversations]
    prompts = [chat.encode((Message(role="user", content=question.prompt + LONG),)) for question in questions]
    return compare(
        "generation",
        GOAL,
        lambda: generate(Decoder(ours.model), prompts, tokens),  # a new one, which remembers no reading
        lambda: _transformers(theirs.model, ours.tokenizer, prompts, tokens),
        _equal,
        repeats=repeats,
        notes=(
            f"{len(prompts)} questions like {questions[0].prompt + LONG!r}, of {min(map(len, prompts))} to "
            f"{max(map(len, prompts))} tokens, answered with at most {tokens} tokens by {model} in float32, greedily.",
        ),
        peer_name=f"transformers {version('transformers')}, generate",
    )


def _transformers(model: Any, tokenizer: Any, prompts: list[TokenIds], tokens: int) -> Answers:
    padded = tokenizer.pad(
        {"input_ids": [list(prompt) for prompt in prompts]}, padding_side="left", return_tensors="pt"
    )
    out = model.generate(**padded, max_new_tokens=tokens, do_sample=False)
    end = tokenizer.eos_token_id
    answers: Answers = out[:, padded["input_ids"].shape[1] :].tolist()
    return [answer[: answer.index(end) + 1] if end in answer else answer for answer in answers]


def _equal(ours: Answers, peer: Answers) -> Equality:
    same = sum(answer == other for answer, other in zip(ours, peer, strict=True)) / len(peer)
    return Equality(
        passed=same == 1, measured=same, bound=1, what="share of conversations answered with the same tokens"
    )
