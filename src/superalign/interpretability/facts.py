"""Facts as models are asked for them: which tokens name the subject, and which are the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from superalign.contracts.errors import InputError, ModelError
from superalign.contracts.records import Message, Record
from superalign.models.batches import TokenIds
from superalign.models.subject import Chat

GAP = "{}"


class Fact(Record):
    """A fact, asked so that the answer is the next thing to be said."""

    prompt: str = Field(description="What is asked, with {} where the subject goes.")
    subject: str
    answer: str
    opening: str = Field("", description="What is put into the model's mouth, as in: It is in. The answer follows it.")

    @model_validator(mode="after")
    def _has_a_place_for_its_subject(self) -> Self:
        if self.prompt.count(GAP) != 1 or not self.subject.strip() or not self.answer.strip():
            raise InputError(
                f"This is no fact: prompt {self.prompt!r}, subject {self.subject!r}, answer {self.answer!r}.",
                fix="Write {} once in the prompt, and give a subject and an answer.",
            )
        return self

    def of(self, subject: str) -> Fact:
        """The same question on another subject."""
        return self.model_copy(update={"subject": subject})

    def asked(self, prompt: str) -> Fact:
        """The same asked in other words."""
        return Fact(prompt=prompt, subject=self.subject, answer=self.answer, opening=self.opening)


@dataclass(frozen=True)
class LaidOut:
    """The tokens up to the answer, and at which positions of them the subject is."""

    tokens: TokenIds
    first: int
    last: int


def lay_out(chat: Chat, fact: Fact, before: str = "") -> LaidOut:
    """A fact as the model is asked for it, behind a sentence `before`, if any.

    ModelError when the tokenizer can't tell where tokens lie in the text, or the chat template changes the question.
    """
    at = fact.prompt.index(GAP)
    filled = before + fact.prompt.replace(GAP, fact.subject)
    text = chat.lay_out((Message(role="user", content=filled),)) + fact.opening
    if not chat.tokenizer.is_fast or filled not in text:
        raise ModelError(
            "The subject can't be found among the tokens.",
            where=fact.subject,
            fix="Use a fast tokenizer, and a chat template that leaves what is asked as it is.",
        )
    start = text.rindex(filled) + len(before) + at
    encoded = chat.tokenizer(text, add_special_tokens=not chat.tokenizer.chat_template, return_offsets_mapping=True)
    spans = encoded["offset_mapping"]
    own = [i for i, (left, right) in enumerate(spans) if left < start + len(fact.subject) and right > start]
    return LaidOut(tuple(encoded["input_ids"]), own[0], own[-1])


def answer_tokens(chat: Chat, fact: Fact, answer: str | None = None) -> TokenIds:
    """The tokens of the fact's answer, or of another one, as they would follow."""
    text = fact.answer if answer is None else answer
    return chat.answer(f" {text}" if fact.opening else text, end=False)
