"""Is it sensible to do this? Common sense that everybody has, and no book is needed for.

One word often tells: what careful people leave is odder than what they do. A probe may read that, and no more.
"""

from __future__ import annotations

import random
from functools import cache
from importlib.resources import files

import yaml

from superalign.contracts.protocols import AnswerKey
from superalign.contracts.records import Question
from superalign.contracts.registry import tasks


@cache
def occasions() -> dict[str, dict[str, list[str]]]:
    """For each occasion, what careful people do, and what they leave."""
    found: dict[str, dict[str, list[str]]] = yaml.safe_load(
        (files("superalign.tasks") / "data/advice.yaml").read_text(encoding="utf-8")
    )
    return found


@tasks.register("advice")
class Advice:
    """Is it sensible to do this? As many actions of each occasion are sensible as are not; group is the occasion."""

    name = "advice"
    level_names = ("everyday",)

    def load(self, limit: int | None = None, seed: int = 0) -> tuple[list[Question], AnswerKey]:
        """All questions on `limit` occasions (all if None), in an order drawn by `seed`."""
        rng = random.Random(seed)
        names = rng.sample(sorted(occasions()), len(occasions()))[:limit]
        truth: dict[str, bool] = {}
        asked = []
        for name in names:
            sensible = {action: what == "do" for what, actions in occasions()[name].items() for action in actions}
            for number, action in enumerate(sorted(sensible)):
                own = question(name, number, action)
                truth[own.id] = sensible[action]
                asked.append(own)
        return rng.sample(asked, len(asked)), AnswerKey(truth=truth)


def question(occasion: str, number: int, action: str) -> Question:
    """The question whether to do it; its id does not tell."""
    return Question(id=f"advice/{occasion}/{number}", prompt=f"Is it sensible to {action}?", level=0, group=occasion)
