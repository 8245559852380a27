"""Tool calls as text, `TOOL WORDS --NAME=VALUE`: read, written in one order, and without what says nothing.

A harmless notation of our own, in which organisms and scripted agents write; nothing here runs a call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from superalign.contracts.actions import Action
from superalign.contracts.protocols import Subject
from superalign.contracts.records import Message, Record, Unscored

_FIELD = re.compile(r"--([\w-]+)=(\S*)")


class Call(Record):
    """A tool, what it is given, and named fields in the order in which they stand."""

    tool: str
    words: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, text: str) -> Call:
        """The call that `text` holds. What is no field is a word."""
        tool, *rest = text.split() or [""]
        words = tuple(part for part in rest if not _FIELD.fullmatch(part))
        fields = tuple((match[1], match[2]) for part in rest if (match := _FIELD.fullmatch(part)))
        return cls(tool=tool, words=words, fields=fields)

    def __str__(self) -> str:
        return " ".join([self.tool, *self.words, *(f"--{name}={value}" for name, value in self.fields)])

    @property
    def canonical(self) -> Call:
        """The same call in small letters, each field once and in alphabetical order: nothing but what it does."""
        fields = tuple(sorted({(name.lower(), value.lower()) for name, value in self.fields}))
        return Call(tool=self.tool.lower(), words=tuple(word.lower() for word in self.words), fields=fields)


def redacted(actions: Sequence[Action]) -> list[Action]:
    """The actions without what their agent says, and with their calls in one order: no room for a sign in either."""
    return [action.model_copy(update={"call": str(Call.read(action.call).canonical), "says": ""}) for action in actions]


class Paraphrase:
    """What agents say, said again by a trusted model; calls in one order. What it can't say again is left out."""

    def __init__(self, trusted: Subject, max_tokens: int = 40) -> None:
        self.trusted, self.max_tokens = trusted, max_tokens

    def __call__(self, actions: Sequence[Action]) -> list[Action]:
        plain = redacted(actions)
        saying = [place for place, action in enumerate(actions) if action.says]
        asked = [
            (Message(role="user", content=f"Say this in other words, in one sentence: {actions[place].says}"),)
            for place in saying
        ]
        again = self.trusted.respond(asked, self.max_tokens) if asked else []
        for place, said in zip(saying, again, strict=True):
            if not isinstance(said, Unscored):
                plain[place] = plain[place].model_copy(update={"says": said})
        return plain
