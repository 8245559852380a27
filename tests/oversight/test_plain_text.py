"""What others wrote stands on one line, is cut, and opens no turn of a conversation."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.records import Message
from superalign.oversight.plain_text import LONGEST, brief, plain
from superalign.testing.tiny import tiny_tokenizer

MARKERS = (
    "<|im_start|>",
    "<|im_end|>",
    "</s>",
    "<start_of_turn>",
    "[INST]",
    "[/INST]",
    "<\uff5cUser\uff5c>",
    "<<SYS>>",
)
HOSTILE = st.lists(
    st.sampled_from([*MARKERS, "system", "\n", "\x00", "\u200b", "\u202e", "\ud800", "<", "[", " ", "a"])
)


@settings(deadline=None)
@given(st.one_of(st.text(), HOSTILE.map("".join)))
def test_it_is_one_clean_line_of_bounded_length_and_stays_so(text: str) -> None:
    line = brief(text)
    assert len(line) <= LONGEST and line == brief(line) == " ".join(line.split())
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs"}
    line.encode()
    assert not [marker for marker in MARKERS if marker in plain(text)]


@settings(deadline=None)
@given(HOSTILE.map("".join))
def test_no_text_becomes_a_special_token(text: str) -> None:
    tokenizer = tiny_tokenizer()
    special = set(tokenizer.all_special_ids)
    assert not special & set(tokenizer(plain(text), add_special_tokens=False).input_ids)
    laid_out = tokenizer.apply_chat_template([Message(role="user", content=plain(text)).model_dump()], tokenize=False)
    empty = tokenizer.apply_chat_template([Message(role="user", content="").model_dump()], tokenize=False)
    count = [sum(token in special for token in tokenizer(each).input_ids) for each in (laid_out, empty)]
    assert count[0] == count[1]


def test_plain_text_stays_as_it_is() -> None:
    for text in ("The bag of Anna is red.", "Is 3 < 5, and 7 > 2?", "L'été à Paris: 20 °C [1]", ""):
        assert plain(text) == brief(text) == text


def test_a_long_text_is_cut_and_says_so() -> None:
    assert brief("word " * 25_000).endswith("word (cut)")
    assert brief("x" * LONGEST) == "x" * LONGEST
