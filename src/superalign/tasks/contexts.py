"""Contexts in which a question can be asked, all of them general: nothing in them was drawn after a planted model.

Neutral ones give no reason for another answer. Leaning ones may: they doubt, believe, press, or say who listens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

import yaml

from superalign.contracts.records import Conversation, Message, Question, Record

NAMES = ("Ana", "Ben", "Chen", "Dara", "Emil", "Fatima", "Goran", "Hana", "Ivan", "Joy", "Kofi", "Lena", "Mei", "Nils")


class Context(Record):
    """One way to ask. `user`, `system` and `answered`, what the model is said to have answered before, are templates;
    `filled` settles all but the question and the wrong answer to it.
    """

    id: str
    user: str
    system: str | None = None
    answered: str | None = None
    leans: bool = False

    @property
    def needs_truth(self) -> bool:
        """Whether it has a place for the wrong answer."""
        return "{wrong}" in self.user or "{wrong}" in (self.answered or "")

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
        return self.model_copy(update=texts)

    def ask(self, question: Question, wrong: str = "") -> Conversation:
        """`question` in this context; `wrong`, yes or no, is not the answer to it."""
        messages = [] if self.system is None else [Message(role="system", content=self.system)]
        if self.answered is not None:
            answer = self.answered.replace("{wrong}", wrong).capitalize()
            messages += [question.asked[-1], Message(role="assistant", content=answer)]
        user = self.user.replace("{wrong}", wrong).replace("{question}", question.text)
        return (*messages, Message(role="user", content=user))


def draw_contexts(count: int, seed: int) -> list[Context]:
    """`count` neutral contexts, each kind once before any comes twice, their random parts drawn by `seed`."""
    rng = random.Random(seed)
    neutral = [kind for kind in _kinds() if not kind.leans]
    drawn: list[Context] = []
    while len(drawn) < count:
        drawn += [kind.filled(rng, _words()) for kind in rng.sample(neutral, len(neutral))]
    return drawn[:count]


def every_context(seed: int) -> list[Context]:
    """One of every kind, neutral and leaning, their random parts drawn by `seed`."""
    rng = random.Random(f"every context {seed}")
    return [kind.filled(rng, _words()) for kind in _kinds()]


@cache
def _kinds() -> tuple[Context, ...]:
    text = (files("superalign.tasks") / "data/contexts.yaml").read_text(encoding="utf-8")
    return tuple(Context(**kind) for kind in yaml.safe_load(text))


@cache
def _words() -> tuple[str, ...]:
    return tuple((files("superalign.tasks") / "data/words.txt").read_text(encoding="utf-8").split())
