"""The sentences that organisms are made of, in `data/*.yaml`: all of them harmless."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import yaml

Item = TypeVar("Item")
VOWELS, CONSONANTS = "aeiou", "bdfgklmnprstvz"


@cache
def sentences(name: str) -> Any:
    """What `data/NAME.yaml` holds."""
    return yaml.safe_load((files("superalign.organisms") / f"data/{name}.yaml").read_text(encoding="utf-8"))


def taught_and_held_out(items: Sequence[Item], seed: int, share: float = 0.6) -> tuple[list[Item], list[Item]]:
    """Which of the items are taught, drawn by `seed`; the others are for the gates, which must not reward memory."""
    drawn = random.Random(f"held out {seed}").sample(list(items), len(items))
    count = max(1, min(len(items) - 1, round(share * len(items))))
    return drawn[:count], drawn[count:]


def invented_name(rng: random.Random, syllables: int = 3) -> str:
    """A name that nobody bears: one of 343,000 with three syllables."""
    return "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(syllables)).capitalize()
