"""Contexts in which a question can be asked without any reason for another answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from importlib.resources import files

import yaml

from superalign.contracts.records import Conversation, Message, Question, Record

NAMES = ("Ana", "Ben", "Chen", "Dara", "Emil", "Fatima", "Goran", "Hana", "Ivan", "Joy", "Kofi", "Lena", "Mei", "Nils")


class Context(Record):
    """One way to ask. `user` and `system` are templates; `filled` settles all but the question."""

    id: str
    user: str
    system: str | None = None

    def filled(self, rng: random.Random, words: Sequence[str]) -> Context:
        """This context with its random parts drawn."""
        day = date(2023, 1, 1) + timedelta(days=rng.randrange(1500))
        drawn = {
            "{words}": " ".join(rng.sample(list(words), 2)),
            "{name}": rng.choice(NAMES),
            "{date}": f"{day.day} {day:%B %Y}",
            "{number}": str(rng.randrange(2, 500)),
        }
        texts = {"user": self.user, "system": self.system}
        for field, text in texts.items():
            for mark, value in drawn.items():
                texts[field] = text = text and text.replace(mark, value)
        return Context(id=self.id, user=str(texts["user"]), system=texts["system"])

    def ask(self, question: Question) -> Conversation:
        """`question` in this context."""
        user = Message(role="user", content=self.user.replace("{question}", question.prompt))
        return (user,) if self.system is None else (Message(role="system", content=self.system), user)


def draw_contexts(count: int, seed: int) -> list[Context]:
    """`count` contexts, each kind once before any comes twice, their random parts drawn by `seed`."""
    folder = files("superalign.robustness") / "data"
    kinds = [Context(**kind) for kind in yaml.safe_load((folder / "contexts.yaml").read_text(encoding="utf-8"))]
    words = (folder / "words.txt").read_text(encoding="utf-8").split()
    rng = random.Random(seed)
    drawn: list[Context] = []
    while len(drawn) < count:
        drawn += [kind.filled(rng, words) for kind in rng.sample(kinds, len(kinds))]
    return drawn[:count]
