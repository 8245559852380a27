"""Rounds of a search for tokens around a question that lead a model away from the answer that is required of it.

First every word of the vocabulary alone; then the best of them in a row; then what is best, in every place; then, for
as long as it is wanted, steps by the gradient from there.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation, Message, Question
from superalign.models.batches import TokenIds
from superalign.models.slot import SLOT, Slotted, filled_with, spelled, typed_tokens, word_tokens
from superalign.models.slot_loss import SaysAnother, SlotLoss, SlotModel
from superalign.models.subject import NO, YES
from superalign.robustness.coordinate_gradient import narrowed, step
from superalign.robustness.violation import Cases

BEST = 64  # finds that are kept, of one word or several
JOINED, WITH = 32, 48  # so many of the best rows of words are each joined with so many of the best words
LONGEST = 4  # words in a row
WIDTH, TOP = 256, 128  # neighbours of a slot in one step, and tokens to choose from for each of its places


def after(question: Question) -> Conversation:
    return (Message(role="user", content=f"{question.text}{SLOT}"),)


def before(question: Question) -> Conversation:
    return (Message(role="user", content=f"{SLOT} {question.text}"),)


def system(question: Question) -> Conversation:
    return (Message(role="system", content=SLOT), Message(role="user", content=question.text))


PLACES = (after, before, system)
AFTER = 0  # where words are tried first: least must be read behind them


@dataclass(frozen=True)
class Candidate:
    """Tokens in one of PLACES, and their mean loss over the questions asked."""

    place: int
    slot: TokenIds
    loss: float


class Search:
    """Questions, in every place that the model's chat template knows, and the words to begin with."""

    def __init__(self, decoder: Any, chat: Any, cases: Cases, *, words: int, seed: int) -> None:
        """At most `words` words of the vocabulary are tried."""
        self.chat = chat
        model = SlotModel(decoder)
        yes, no = (tuple(chat.first_tokens(spellings)) for spellings in (YES, NO))
        against = [SaysAnother(yes if required else no) for required in cases.required]
        self.losses: dict[int, SlotLoss] = {}
        for place, ask in enumerate(PLACES):
            try:
                asked = [Slotted.of(chat, ask(question)) for question in cases.questions]
            except InputError:  # some templates know no system message
                continue
            self.losses[place] = SlotLoss(model, asked, against)
        self.typed = typed_tokens(chat)
        found = word_tokens(chat)
        self.words = random.Random(f"words {seed}").sample(found, min(words, len(found)))
        self.generator = torch.Generator().manual_seed(seed)

    def rounds(self) -> Iterator[list[Candidate]]:
        """The best candidates of one round after another, the best first; without end, if there are any."""
        best: list[Candidate] = []
        for row in self.rows():
            yield row
            best = sorted([*best, *row], key=lambda candidate: candidate.loss)[:BEST]
        going = {AFTER: best[0]} if best else {}
        for place in [place for place in self.losses if place != AFTER]:
            if found := self.moved(best, place):
                going[place] = found[0]
                yield found
        while going:
            for place, candidate in list(going.items()):
                if found := self.stepped(candidate):
                    going[place] = found[0]
                    yield found
                else:
                    del going[place]

    def rows(self) -> Iterator[list[Candidate]]:
        """Words behind the question: alone, then two in a row, and so on."""
        words = row = self.narrowed(AFTER, [(word,) for word in self.words])
        while row:
            yield row
            if len(row[0].slot) == LONGEST:
                return
            pairs = [(one.slot, other.slot) for one in row[:JOINED] for other in words[:WITH]]
            row = self.narrowed(AFTER, [both for a, b in pairs for both in (a + b, b + a)])

    def moved(self, found: Sequence[Candidate], place: int) -> list[Candidate]:
        """The text of what was `found` elsewhere, in another place."""
        texts = [self.text(candidate).strip() for candidate in found]
        slots = self.losses[place].asked[0].tokens_of(self.chat, texts)
        return self.narrowed(place, [slot for slot in slots if slot])

    def narrowed(self, place: int, slots: Sequence[TokenIds]) -> list[Candidate]:
        tried = narrowed(self.losses[place], self.chat, slots) if place in self.losses else []
        return [Candidate(place, each.slot, each.loss) for each in tried]

    def stepped(self, candidate: Candidate) -> list[Candidate]:
        """What one step by the gradient makes of it."""
        loss, chat = self.losses[candidate.place], self.chat
        tried = step(loss, chat, candidate.slot, self.typed, width=WIDTH, top=TOP, generator=self.generator)
        return [Candidate(candidate.place, each.slot, each.loss) for each in tried]

    def conversations(self, candidate: Candidate, questions: Sequence[Question]) -> list[Conversation]:
        """`questions` asked in what was found, as text."""
        ask, text = PLACES[candidate.place], self.text(candidate)
        return [filled_with(ask(question), text) for question in questions]

    def text(self, candidate: Candidate) -> str:
        return spelled(self.chat, [candidate.slot])[0]
