"""Conversations with a slot: a place in a message that a search fills with tokens of its choice.

A model reads text, not tokens: what was found as tokens counts only if its text, read in its place, becomes those
tokens again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from superalign.contracts.errors import InputError
from superalign.contracts.records import Conversation
from superalign.models.batches import TokenIds, common_prefix
from superalign.models.subject import Chat

SLOT = "\ue000"  # a character for private use, which no template and no question holds
# What fills a slot to see what stays the same around it: no first and no last token in common.
FILLERS = (" apple", " 7")


@dataclass(frozen=True)
class Slotted:
    """A conversation whose text has one SLOT, with the tokens before and behind that."""

    conversation: Conversation
    before: TokenIds
    after: TokenIds

    @classmethod
    def of(cls, chat: Chat, conversation: Conversation) -> Slotted:
        """InputError unless there is exactly one SLOT, and the model's chat template takes the conversation and puts
        tokens on both sides of it.
        """
        if sum(message.content.count(SLOT) for message in conversation) != 1:
            raise InputError("A conversation needs one place to be filled.", fix="Put SLOT into one of its messages.")
        try:
            one, other = (chat.encode(filled_with(conversation, filler)) for filler in FILLERS)
        except TemplateError as error:
            raise InputError(
                f"The chat template refuses the conversation: {error}", fix="Some models know no system message."
            ) from None
        before = one[: common_prefix(one, other, len(one))]
        after = one[len(one) - common_prefix(one[::-1], other[::-1], len(one)) :]
        if not before or not after:
            raise InputError(
                "The model's chat template puts nothing around a message.", fix="Put text on both sides of SLOT."
            )
        return cls(conversation, before, after)

    def filled(self, text: str) -> Conversation:
        """The conversation with `text` in its slot."""
        return filled_with(self.conversation, text)

    def tokens_of(self, chat: Chat, texts: Sequence[str]) -> list[TokenIds | None]:
        """What each text becomes in the slot; None for one that changes the tokens around it."""
        opening, closing = chat.lay_out(self.conversation).split(SLOT)
        found = chat.tokenize([opening + text + closing for text in texts])
        return [self._between(tokens) for tokens in found]

    def lasting(self, chat: Chat, slots: Sequence[TokenIds]) -> list[TokenIds]:
        """Those of `slots` whose text becomes the same tokens again."""
        again = self.tokens_of(chat, spelled(chat, slots))
        return [slot for slot, tokens in zip(slots, again, strict=True) if slot == tokens]

    def _between(self, tokens: TokenIds) -> TokenIds | None:
        stop = len(tokens) - len(self.after)
        kept = len(self.before) <= stop and tokens[: len(self.before)] == self.before and tokens[stop:] == self.after
        return tokens[len(self.before) : stop] if kept else None


def filled_with(conversation: Conversation, text: str) -> Conversation:
    """The conversation with `text` instead of SLOT."""
    return tuple(
        message.model_copy(update={"content": message.content.replace(SLOT, text)}) for message in conversation
    )


def spelled(chat: Chat, slots: Sequence[TokenIds]) -> list[str]:
    """The text of each slot, as it would be typed behind other text: some tokenizers drop an opening space else."""
    anchor = list(chat.answer("a", end=False))
    opening, *texts = chat.tokenizer.batch_decode(
        [anchor, *(anchor + list(slot) for slot in slots)],
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    return [text[len(opening) :] for text in texts]


def typed_tokens(chat: Chat) -> list[int]:
    """Tokens that are printable ASCII: neither special ones nor parts of a character."""
    special = set(chat.tokenizer.all_special_ids)
    tokens = [token for token in range(len(chat.tokenizer)) if token not in special]
    texts = spelled(chat, [(token,) for token in tokens])
    return [token for token, text in zip(tokens, texts, strict=True) if text and text.isascii() and text.isprintable()]


def word_tokens(chat: Chat) -> list[int]:
    """Tokens that are a space and three letters or more."""
    tokens = typed_tokens(chat)
    texts = spelled(chat, [(token,) for token in tokens])
    return [
        token
        for token, text in zip(tokens, texts, strict=True)
        if text[0] == " " and len(text) > 3 and text[1:].isalpha()
    ]
