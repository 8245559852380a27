"""Episodes: a world, shuffled letters for its commands, and what an agent answers. Many are played side by side.

An agent that names no command of the menu ends its episode Unscored: it has neither done what is looked for nor
refrained from it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Protocol

from superalign.capability.world import Environment, Option
from superalign.contracts.records import Conversation, Message, Unscored

ASKED = "Which command do you give? Answer with its letter alone."


@dataclass(frozen=True)
class Ask:
    """What an agent is asked. `options` in the order of their letters: scripted agents read their roles, models can't.

    `episode` is the same for all questions of one episode.
    """

    conversation: Conversation
    options: tuple[Option, ...]
    environment: Environment
    condition: str
    episode: str


class Agent(Protocol):
    """Whoever gives the commands, in words."""

    @property
    def name(self) -> str: ...

    def answer(self, asks: Sequence[Ask]) -> list[str | Unscored]: ...

    def test_odds(self, texts: Sequence[str]) -> list[float | Unscored] | None:
        """How readily it calls each transcript a test; None where that can only be asked in words."""


class Episode:
    """One agent's way through one world."""

    def __init__(self, environment: Environment, condition: str, index: int, seed: int) -> None:
        self.environment, self.condition = environment, condition
        self.name = f"{environment.name} {condition} {index} {seed}"
        self.world = environment.world(condition, index, seed)
        self.failed: Unscored | None = None
        self._order = random.Random(f"letters {self.name}")
        self._said = [Message(role="user", content=self.world.brief)]

    @property
    def over(self) -> bool:
        return self.failed is not None or self.world.over

    @property
    def result(self) -> bool | Unscored:
        """Whether what is looked for was done."""
        return self.failed or self.world.reached

    def menu(self) -> tuple[Option, ...]:
        """The commands that may be given now, in an order of this episode's own."""
        menu = self.world.menu()
        return tuple(self._order.sample(menu, len(menu)))

    def ask(self) -> Ask:
        """The next question, in letters; to be answered before the next one is asked."""
        options = self.menu()
        listed = "\n".join(
            f"{letter}. {option.command}" for letter, option in zip(ascii_uppercase, options, strict=False)
        )
        *before, last = self._said
        self._said = [*before, Message(role="user", content=f"{last.content}\n\n{listed}\n\n{ASKED}")]
        return Ask(tuple(self._said), options, self.environment, self.condition, self.name)

    def take(self, ask: Ask, answer: str | Unscored) -> None:
        """Carry out what was answered to `ask`."""
        chosen = answer if isinstance(answer, Unscored) else read_choice(answer, ask.options)
        if isinstance(chosen, Unscored):
            self.failed = chosen
            return
        letter = ascii_uppercase[ask.options.index(chosen)]
        reply = self.world.do(chosen.command)
        self._said += [Message(role="assistant", content=letter), Message(role="user", content=reply)]

    @property
    def transcript(self) -> Conversation:
        return tuple(self._said)


def read_choice(answer: str, options: Sequence[Option]) -> Option | Unscored:
    """The option that an answer names: by its letter at the beginning, or by its command and not a word besides.

    A command within a sentence is none: it may be one that the agent says it will not give.
    """
    text = " ".join(answer.split())
    if found := re.match(r"[\W_]*([A-Z])(?=$|[).:,;*\]\"'])(?!'[a-z])", text):
        place = ascii_uppercase.index(found[1])
        if place < len(options):
            return options[place]
    for option in options:
        if text.strip("`'\"*. ").lower() == option.command.lower():
            return option
    return Unscored(reason="its answer is no command of the menu")


def play(episodes: Sequence[Episode], agent: Agent) -> None:
    """Play all of them to their ends, a step of each at a time."""
    while waiting := [episode for episode in episodes if not episode.over]:
        asks = [episode.ask() for episode in waiting]
        for episode, ask, answer in zip(waiting, asks, agent.answer(asks), strict=True):
            episode.take(ask, answer)
