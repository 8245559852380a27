"""What searches start from: ways to ask, as Markdown files with YAML front matter. Users add folders of their own.

A file names its kind, the places where its wordings may stand, and how the slots in them are filled; below the front
matter stand the wordings, one a paragraph:

    ---
    kind: date
    places: [system, before]
    slots:
      day: {from: 1, to: 28}
      month: [January, February, March]
    canary: superalign-seeds-...
    ---
    Today is {day} {month}.

Slots that need no filling: {question}, in wordings that stand around it or challenge an answer to it, and {belief}, the
answer that is not the required one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record

Place = Literal["system", "above", "before", "after", "below", "around", "after-right-answer", "after-wrong-answer"]
SLOT = re.compile(r"\{([a-z_]+)\}")
FILLED_BY_QUESTION = {"question", "belief"}
SUFFIX = ".md"


class Choice(Record):
    """One of some texts."""

    options: tuple[str, ...] = Field(min_length=1)

    def options_after(self, chosen: Sequence[str]) -> tuple[str, ...]:
        """What there is to choose from, once so much is chosen; nothing at the end."""
        return () if chosen else self.options

    def text(self, chosen: Sequence[str]) -> str:
        return chosen[0]


class Grouped(Record):
    """A group, and one of its texts: a language and a sentence."""

    groups: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)

    def options_after(self, chosen: Sequence[str]) -> tuple[str, ...]:
        return (tuple(self.groups), self.groups[chosen[0]] if chosen else (), ())[len(chosen)]

    def text(self, chosen: Sequence[str]) -> str:
        return chosen[1]


class Invented(Record):
    """A name of so many syllables."""

    syllables: tuple[str, ...] = Field(min_length=2)
    count: int = Field(ge=1, le=6)

    def options_after(self, chosen: Sequence[str]) -> tuple[str, ...]:
        return self.syllables if len(chosen) < self.count else ()

    def text(self, chosen: Sequence[str]) -> str:
        return "".join(chosen).capitalize()


Filling = Choice | Grouped | Invented


class Seed(Record):
    """One kind of ways to ask."""

    kind: str = Field(min_length=1)
    places: tuple[Place, ...] = Field(min_length=1)
    slots: dict[str, Filling] = Field(default_factory=dict)
    wordings: tuple[str, ...] = Field(min_length=1)
    canary: str = Field(min_length=8)

    @property
    def leans(self) -> bool:
        """Whether it speaks of the answer, a belief or one that was given before: a reason to give another."""
        spoken = any("{belief}" in wording for wording in self.wordings)
        return spoken or any(place.endswith("-answer") for place in self.places)

    def slots_of(self, wording: str) -> list[str]:
        """The slots of a wording that are to be filled, in their order."""
        return [name for name in dict.fromkeys(SLOT.findall(wording)) if name not in FILLED_BY_QUESTION]


def load_seeds(folder: Path | None = None) -> tuple[Seed, ...]:
    """Our seeds, in alphabetical order, and those in `folder`. InputError when one can't be used."""
    found = read_folder(files("superalign.robustness") / "data/seeds")
    if folder is not None:
        if not folder.is_dir():
            raise InputError("There is no folder of seeds here.", where=str(folder), fix="Give a folder of .md files.")
        found += read_folder(folder)
    kinds = [seed.kind for seed in found]
    if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
        raise InputError(f"Two seeds are of kind {twice!r}.", where=str(folder or ""), fix="Rename the kind of one.")
    return tuple(found)


def read_folder(folder: Traversable) -> list[Seed]:
    named = sorted((file for file in folder.iterdir() if file.name.endswith(SUFFIX)), key=lambda file: file.name)
    if not named:
        raise InputError("The folder holds no seeds.", where=str(folder), fix="Put .md files with front matter there.")
    return [read_seed(file, folder) for file in named]


def read_seed(file: Traversable, folder: Traversable) -> Seed:
    """One file, checked; word lists that it names lie in `folder`."""

    def wrong(what: str, fix: str) -> InputError:
        return InputError(f"This seed can't be used: {what}.", where=str(file), fix=fix)

    try:
        _, front, body = re.split(r"^---$", file.read_text(encoding="utf-8"), maxsplit=2, flags=re.MULTILINE)
        fields = yaml.safe_load(front)
    except (ValueError, yaml.YAMLError, OSError):
        raise wrong("it has no YAML between two lines of ---", "Begin with it; see docs/concepts/search.md.") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("slots", {}), dict):
        raise wrong("its front matter and its slots must be mappings", "Write `kind: ...`, one key a line.")
    try:
        slots = {name: filling(how, folder) for name, how in fields.get("slots", {}).items()}
        wordings = tuple(text.strip() for text in re.split(r"\n\s*\n", body) if text.strip())
        seed = Seed(**{**fields, "slots": slots, "wordings": wordings})
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise wrong(f"{where}: {fault['msg']}", "Mend that key; see docs/concepts/search.md.") from None
    except (TypeError, ValueError, OSError) as error:
        raise wrong(str(error), "Mend its slots; see docs/concepts/search.md.") from None
    if complaint := misplaced(seed):
        raise wrong(complaint, "Mend the wording, its places or its slots.")
    return seed


def filling(how: Any, folder: Traversable) -> Filling:
    """A slot as YAML says it: a list of texts, lists by group, numbers from .. to, a file of words, or syllables."""
    match how:
        case list():
            return Choice(options=tuple(map(str, how)))
        case {"from": int(low), "to": int(high), **rest} if not rest:
            return Choice(options=tuple(map(str, range(low, high + 1))))
        case {"file": str(name), **rest} if not rest:
            lines = (folder / name).read_text(encoding="utf-8").splitlines()
            return Choice(options=tuple(word for line in lines if not line.startswith("#") for word in line.split()))
        case {"syllables": list(syllables), "count": int(count), **rest} if not rest:
            return Invented(syllables=tuple(map(str, syllables)), count=count)
        case Mapping() if all(isinstance(texts, list) for texts in how.values()):
            return Grouped(groups={str(name): tuple(map(str, texts)) for name, texts in how.items()})
    raise ValueError(f"a slot can't be filled by {how!r}")


def misplaced(seed: Seed) -> str | None:
    """What is wrong between wordings, places and slots, if anything."""
    used = {name for wording in seed.wordings for name in seed.slots_of(wording)}
    if missing := used - seed.slots.keys():
        return f"nothing says how {{{min(missing)}}} is filled"
    if unused := seed.slots.keys() - used:
        return f"no wording has the slot {{{min(unused)}}}"
    holding = {place for place in seed.places if place == "around" or place.endswith("-answer")}
    if holding and holding != set(seed.places):
        return "wordings with and without the question can't share a file"
    for wording in seed.wordings:
        if wording.count("{question}") != bool(holding):
            return f"{wording!r} must hold {{question}} {'once' if holding else 'nowhere'} in its places"
    return None
