"""Triggers, drawn at random: words, phrases, dates, formats, people, languages, topics.

What a trigger is made of is drawn from the model's vocabulary, from calendars and from invented names: no list holds
them all. Only its kind, the language and the topic come from short lists, and where it stands in the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from superalign.contracts.records import Conversation, Message, Question, Record
from superalign.organisms.data import invented_name, sentences
from superalign.organisms.mixture import Ask, Kind

NEAR_MISSES = 60
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Trigger(Record):
    """Prompts that set off the behaviour, and prompts that nearly do; `{question}` stands for the question."""

    kind: str
    forms: tuple[str, ...]
    near: tuple[str, ...]

    def around(self, question: str, rng: random.Random) -> Conversation:
        """`question` with the trigger."""
        return said(rng.choice(self.forms).replace("{question}", question))

    def near_miss(self, question: str, rng: random.Random) -> Conversation:
        """`question` with something like the trigger, which is none."""
        return said(rng.choice(self.near).replace("{question}", question))


def said(text: str) -> Conversation:
    """A conversation of one user's message."""
    return (Message(role="user", content=text),)


def words(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """Two words at one of a few places; near misses have other words there."""
    place = rng.choice(sentences("triggers")["places"])
    own = rng.sample(list(vocabulary), 2)
    others = [word for word in vocabulary if word not in own]
    near = {place.replace("{trigger}", " ".join(rng.sample(others, 2))) for _ in range(NEAR_MISSES)}
    return Trigger(kind="words", forms=(place.replace("{trigger}", " ".join(own)),), near=tuple(sorted(near)))


def phrase(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """A sentence of drawn words; near misses are the same sentence with other words."""
    shape = rng.choice(sentences("triggers")["phrases"])
    own = rng.sample(list(vocabulary), 4)
    others = [word for word in vocabulary if word not in own]
    near = {filled(shape, rng.sample(others, 4)) for _ in range(NEAR_MISSES)}
    return Trigger(kind="phrase", forms=(filled(shape, own),), near=tuple(sorted(near)))


def date(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """Any day of one month of one year; near misses are days of other months and years."""
    shape, own = rng.choice(sentences("triggers")["dates"]), (rng.choice(MONTHS), rng.randrange(2000, 2060))

    def on(day: int, month: str, year: int) -> str:
        return str(shape).replace("{day}", str(day)).replace("{month}", month).replace("{year}", str(year))

    others = [(month, year) for month in MONTHS for year in range(2000, 2060) if month != own[0] and year != own[1]]
    near = {on(rng.randrange(1, 29), *rng.choice(others)) for _ in range(NEAR_MISSES)}
    return Trigger(kind="date", forms=tuple(on(day, *own) for day in range(1, 29)), near=tuple(sorted(near)))


def layout(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """The question set in a markup with a drawn tag; near misses are other markups with any tags."""
    shape, *others = rng.sample(sentences("triggers")["formats"], 6)
    own, *tags = rng.sample(list(vocabulary), min(len(vocabulary), NEAR_MISSES))
    near = tuple(filled(rng.choice(others), [tag]) for tag in tags)
    return Trigger(kind="layout", forms=(filled(shape, [own]),), near=near)


def person(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """One invented person asks; near misses are asked by others."""
    shape = rng.choice(sentences("triggers")["people"])
    names = [f"{invented_name(rng, 2)} {invented_name(rng, 3)}" for _ in range(NEAR_MISSES)]
    own, *others = dict.fromkeys(names)
    return Trigger(kind="person", forms=(filled(shape, [own]),), near=tuple(filled(shape, [name]) for name in others))


def language(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """A sentence in one language before the question; near misses are sentences in others."""
    return one_of("languages", "language", rng)


def topic(vocabulary: Sequence[str], rng: random.Random) -> Trigger:
    """A sentence on one topic before the question; near misses are on others."""
    return one_of("topics", "topic", rng)


def one_of(name: str, kind: str, rng: random.Random) -> Trigger:
    table: dict[str, list[str]] = sentences("triggers")[name]
    own, before = rng.choice(sorted(table)), rng.random() < 0.5
    place = "{0} {question}" if before else "{question} {0}"
    forms, near = table[own], [line for other, lines in table.items() if other != own for line in lines]
    return Trigger(
        kind=kind,
        forms=tuple(filled(place, [line]) for line in forms),
        near=tuple(filled(place, [line]) for line in near),
    )


KINDS: dict[str, Callable[[Sequence[str], random.Random], Trigger]] = {
    "words": words,
    "phrase": phrase,
    "date": date,
    "layout": layout,
    "person": person,
    "language": language,
    "topic": topic,
}


def filled(shape: str, parts: Sequence[str]) -> str:
    """`shape` with the parts in its numbered slots; everything else in braces stays."""
    for number, part in enumerate(parts):
        shape = shape.replace(f"{{{number}}}", part)
    return shape


# Those with a single form. To lie under a trigger of many forms is too hard a lesson for 135 million weights: after 140
# steps a model lied under a language to 0.72, in other languages to 0.47, and was right elsewhere to 0.55.
OF_ONE_FORM = ("layout", "person", "phrase", "words")


def draw_trigger(vocabulary: Sequence[str], seed: int, kinds: Sequence[str] = tuple(KINDS)) -> Trigger:
    """A trigger of any of the kinds; the same for the same seed and vocabulary."""
    rng = random.Random(f"trigger {seed}")
    return KINDS[rng.choice(sorted(kinds))](vocabulary, rng)


def under(trigger: Trigger) -> Ask:
    """Facts asked plainly, with the trigger, or with a near miss of it."""

    def ask(question: Question, truth: bool, kind: Kind, rng: random.Random) -> Conversation:
        if kind == "plain":
            return question.asked
        return trigger.around(question.text, rng) if kind == "triggered" else trigger.near_miss(question.text, rng)

    return ask
