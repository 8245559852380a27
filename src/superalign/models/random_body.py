"""A model of the same shape that never saw a word: the control for what pretraining brings."""

from __future__ import annotations

from functools import lru_cache

import torch
from transformers import AutoModelForCausalLM

from superalign.models.decoder import Decoder
from superalign.models.subject import ModelSubject


@lru_cache(maxsize=1)
def with_random_body(base: ModelSubject, seed: int) -> ModelSubject:
    """`base` with all weights drawn anew by its family's own initialization."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(base.decoder.model.config, dtype=torch.bfloat16)
    return ModelSubject(f"random-{seed}", Decoder(model.eval().requires_grad_(False)), base.chat)
