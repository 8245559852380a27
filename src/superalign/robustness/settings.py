"""Settings in which a question is asked: filled seeds, put together, taken apart and changed in one place."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from superalign.contracts.records import Conversation, Message, Question
from superalign.robustness.choosers import Blind, Chooser, Key, Option
from superalign.robustness.seeds import SLOT, Place, Seed

SAID = {True: "Yes", False: "No"}
SIZES = ("1", "2", "3")  # of a setting, in parts: several at once are several guesses for one question


@dataclass(frozen=True)
class Part:
    """One wording of a seed at one place, its slots filled by what was chosen for each."""

    kind: str
    place: Place
    wording: str
    chosen: tuple[tuple[str, tuple[str, ...]], ...]
    filled: tuple[tuple[str, str], ...]

    def text(self, question: str, belief: str) -> str:
        """The wording with nothing left open."""
        known = {"question": question, "belief": belief, **dict(self.filled)}
        return SLOT.sub(lambda slot: known[slot[1]], self.wording)

    def decisions(self) -> Iterator[tuple[Key, str]]:
        """All that was decided to make it."""
        yield ("kind",), self.kind
        yield (self.kind, "place"), self.place
        yield (self.kind, "wording"), self.wording
        for slot, chosen in self.chosen:
            for i, choice in enumerate(chosen):
                yield (self.kind, slot, str(i)), choice


@dataclass(frozen=True)
class Setting:
    """Parts around a question, the innermost first; no two of one kind. Without parts it is asked plainly."""

    parts: tuple[Part, ...] = ()

    def ask(self, question: Question, required: bool) -> Conversation:
        """The conversation. `required` is the answer that a stated belief denies, and that a right earlier one is."""
        text, system, earlier = question.text, [], []
        for part in self.parts:
            said = part.text(text, SAID[not required].lower())
            match part.place:
                case "system":
                    system.append(said)
                case "above" | "before":
                    text = said + ("\n" if part.place == "above" else " ") + text
                case "below" | "after":
                    text += ("\n" if part.place == "below" else " ") + said
                case "around":
                    text = said
                case "after-right-answer" | "after-wrong-answer":
                    answer = SAID[required is (part.place == "after-right-answer")]
                    earlier = [Message(role="user", content=text), Message(role="assistant", content=answer)]
                    text = said
        first = [Message(role="system", content="\n".join(system))] if system else []
        return (*first, *earlier, Message(role="user", content=text))

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(part.kind for part in self.parts)

    def decisions(self) -> Iterator[tuple[Key, str]]:
        yield ("parts",), str(len(self.parts))
        for part in self.parts:
            yield from part.decisions()

    def __str__(self) -> str:
        shown = (f"{part.kind} ({part.place}): {part.text('...', 'the wrong answer')!r}" for part in self.parts)
        return "; ".join(shown) or "asked plainly"


class Grammar:
    """All settings that some seeds allow."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self.seeds = {seed.kind: seed for seed in seeds}

    def draw(self, chooser: Chooser) -> Setting:
        """A setting, every decision in the hands of `chooser`."""
        kinds = [self._kind(chooser) for _ in range(int(chooser.choose(("parts",), SIZES)))]
        return Setting(tuple(self.part(kind, chooser, {}) for kind in dict.fromkeys(kinds)))

    def part(self, kind: str, chooser: Chooser, decided: Mapping[Key, str]) -> Part:
        """A part of this kind; what was `decided` before stays, as far as it still makes sense."""
        seed = self.seeds[kind]

        def decide(key: Key, options: Sequence[Option]) -> Option:
            before = next((option for option in options if option == decided.get(key)), None)
            return chooser.choose(key, options) if before is None else before

        place, wording = decide((kind, "place"), seed.places), decide((kind, "wording"), seed.wordings)
        chosen: dict[str, tuple[str, ...]] = {}
        for slot in seed.slots_of(wording):
            chosen[slot] = ()
            while options := seed.slots[slot].options_after(chosen[slot]):
                chosen[slot] += (decide((kind, slot, str(len(chosen[slot]))), options),)
        filled = tuple((slot, seed.slots[slot].text(choices)) for slot, choices in chosen.items())
        return Part(kind, place, wording, tuple(chosen.items()), filled)

    def change(self, setting: Setting, chooser: Chooser, rng: random.Random) -> Setting:
        """One decision made anew; now and then a part more, or one less."""
        parts, at, how = list(setting.parts), rng.randrange(len(setting.parts)), rng.random()
        if how < 0.1 and len(parts) > 1:
            del parts[at]
        elif how < 0.2 and len(parts) < len(SIZES) and (kind := self._kind(chooser)) not in setting.kinds:
            parts.append(self.part(kind, chooser, {}))
        else:
            _, *decided = parts[at].decisions()
            decided.remove(rng.choice(decided))
            parts[at] = self.part(parts[at].kind, chooser, dict(decided))
        return Setting(tuple(parts))

    def cross(self, first: Setting, second: Setting, rng: random.Random) -> Setting:
        """Parts of both; of a part that both have, decisions of both."""
        parts = {part.kind: part for part in (*first.parts, *second.parts)}
        for own in first.parts:
            if own.kind in second.kinds:
                mine, theirs = dict(own.decisions()), dict(parts[own.kind].decisions())
                mixed = {key: rng.choice([choice, mine.get(key, choice)]) for key, choice in (mine | theirs).items()}
                parts[own.kind] = self.part(own.kind, Blind(rng.randrange(2**32)), mixed)
        size = rng.randint(1, min(len(SIZES), len(parts)))
        kept = sorted(rng.sample(range(len(parts)), size))
        return Setting(tuple(list(parts.values())[i] for i in kept))

    def _kind(self, chooser: Chooser) -> str:
        return chooser.choose(("kind",), tuple(self.seeds))
