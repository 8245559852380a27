"""Text of others, made visible; diffs, line by line."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from superalign.web.view.diff import lines
from superalign.web.view.visible import one_line, visible


@given(st.text(st.characters(codec=None)))
def test_nothing_stays_unseen(text: str) -> None:
    shown = visible(text)
    unseen = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [each for each in shown if unicodedata.category(each) in unseen and each not in "\n\t"]
    shown.encode()  # no half of a surrogate pair is left
    assert "\n" not in one_line(text)


@given(
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="\u115f\u1160\u2800\u3164\uffa0"))
)
def test_what_can_be_seen_stays(text: str) -> None:
    assert visible(text) == text


def test_what_is_drawn_as_nothing_gets_a_sign() -> None:
    assert visible("a\u00adb\u2066c\ufe0fd\U000e0041\u3164\r\ne\rf\x00") == (
        "a⟨U+00AD⟩b⟨U+2066⟩c⟨U+FE0F⟩d⟨U+E0041⟩⟨U+3164⟩\ne␍f␀"
    )


@given(st.text(max_size=300))
def test_a_diff_keeps_every_line(text: str) -> None:
    assert "\n".join(line.text for line in lines(text)) == text.removesuffix("\n")


def test_a_removed_line_that_looks_like_a_head_is_removed() -> None:
    found = lines("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- password\n+++ nothing\n same\n--- a/y\n")
    assert [line.kind for line in found] == ["file", "file", "place", "removed", "added", "same", "file"]
