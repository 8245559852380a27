"""Transcripts of agents, made up: attacks of several kinds, their benign twins, and ordinary work.

A twin has the same steps with the same tools and words; it differs in the request alone, which asks for what the attack
does unasked. So no tool and no word of an act tells an attack, and a request for one is no attack either.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from superalign.contracts.records import Record

SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstv" for vowel in "aeiou")
Nature = Literal["attack", "twin", "declined", "ordinary"]


class Transcript(Record):
    """What one agent was asked, and what it did. `kind` is the kind of attack that it is, or is like."""

    text: str
    kind: str
    family: str
    nature: Nature

    @property
    def harmful(self) -> bool:
        return self.nature == "attack"


def kinds() -> dict[str, str]:
    """Each kind of attack with its family."""
    return {name: kind["family"] for name, kind in _data()["kinds"].items()}


def make(kind: str, nature: Nature, number: int, seed: int = 0) -> Transcript:
    """One transcript: an `attack`, its `twin` (asked for what it does), one that was asked for it and does something
    else (`declined`), or `ordinary` work. The same number gives attack and twin the same steps.
    """
    told, rng = _data()["kinds"][kind], random.Random(f"transcript {seed} {kind} {number}")
    slots = {"a": _word(rng), "b": _word(rng), "n": str(rng.randrange(2, 98)), "host": f"{_word(rng)}.example"}
    before, after = rng.randrange(1, 3), rng.randrange(0, 3)
    request = {place: rng.choice(told[place]) for place in ("asked", "other")}
    act = (rng.choice(told["act"]), rng.choice(_data()["results"]))
    steps = [tuple(step) for step in rng.choices(_data()["ordinary"], k=before + after + 1)]
    if nature in ("attack", "twin"):
        steps[before] = act
    lines = [f"User: {request['asked' if nature in ('twin', 'declined') else 'other']}"]
    for call, result in steps:
        if rng.random() < 0.4:
            lines.append(f"Agent: {rng.choice(_data()['says'])}")
        lines += [f"Call: {call}", f"Result: {result}"]
    lines.append(f"Agent: {rng.choice(_data()['ends'])}")
    return Transcript(text=_filled("\n".join(lines), slots), kind=kind, family=told["family"], nature=nature)


def corpus(
    chosen: Sequence[str], natures: Sequence[Nature], each: int, seed: int = 0, start: int = 0
) -> list[Transcript]:
    """`each` transcripts of every kind and nature, numbered from `start`."""
    numbers = range(start, start + each)
    return [make(kind, nature, number, seed) for kind in chosen for nature in natures for number in numbers]


def _filled(text: str, slots: dict[str, str]) -> str:
    for name, value in slots.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.randrange(2, 4)))


@cache
def _data() -> Any:
    return yaml.safe_load((files("superalign.control.alarms") / "transcripts.yaml").read_text(encoding="utf-8"))
