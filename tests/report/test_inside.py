"""What is inside, as it is drawn: every number where it belongs, and tokens as nothing but text."""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from superalign.contracts.readings import Inside, TokenHeat, TokenValues
from superalign.contracts.records import Unscored
from superalign.report import inside
from superalign.report.html import render
from superalign.report.wording import MINUS

from .example import example, heats, probe_reading

ATTACK = '</span></style><script>alert(1)</script>" onmouseover="alert(1)'
UNMEASURED = Unscored(reason="the subject's activations are not finite")


def section(found: Inside | None) -> str:
    """The section of the report, empty when there is none."""
    page = render(example().model_copy(update={"inside": found}))
    got = re.search(r'<section id="inside">.*?</section>', page, re.DOTALL)
    return got[0] if got else ""


def heat(**changes: object) -> TokenHeat:
    return TokenHeat.model_validate(heats()[0].model_dump() | changes)


def test_the_curve_shows_every_line_and_the_interval_of_the_probe() -> None:
    svg = inside.layers(probe_reading())
    drawn = ElementTree.fromstring(svg)
    names = {part.text for part in drawn.iter("text")}
    assert names >= {"probe", "base model", "random, 95 %", "shuffled, 95 %", "length", "bag of words", "chance"}
    (band,) = (part for part in drawn.iter("polygon") if part.get("class") == "band")
    assert len((band.get("points") or "").split()) == 2 * 15
    assert "layer 30: 0.94 [0.90, 0.98], p = 0.01" in (drawn.findtext("desc") or "")


def test_what_can_not_be_seen_of_the_base_is_not_drawn() -> None:
    whole = probe_reading()
    blind = whole.model_copy(
        update={
            "layers": tuple(layer.model_copy(update={"base": UNMEASURED}) for layer in whole.layers),
            "controls": tuple(
                control.model_copy(update={"auroc": UNMEASURED, "ahead": UNMEASURED})
                if control.name in ("base model", "input embeddings")
                else control
                for control in whole.controls
            ),
        }
    )
    svg = inside.layers(blind)
    assert "base model" not in svg and "input embeddings" not in svg and "bag of words" in svg
    assert unescape(section(Inside(probe=blind))).count(UNMEASURED.reason) == 4


def test_the_choice_is_said_with_its_p_value() -> None:
    said = inside.chosen(probe_reading()).replace("\N{NO-BREAK SPACE}", " ")
    assert "after layers 26, 28, 30" in said and "AUROC 0.93 [0.90, 0.96], p = 0.01" in said
    assert "99 labellings shuffled within groups" in said and "corrected for the number of layers" in said


def test_a_probe_that_is_not_ahead_of_a_control_is_seen() -> None:
    tones = {row[0].text: row[2].tone for row in inside.controls(probe_reading()).rows}
    assert tones == {"length": "good", "bag of words": "good", "input embeddings": "good", "base model": "open"}


def test_tokens_are_nothing_but_text() -> None:
    hostile = heat(tokens=[ATTACK, "<b>"], values=[1.0, -2.0], answered=ATTACK)
    page = section(Inside(heat=(hostile,)))
    assert "<script" not in page and "<b></span>" not in page and 'onmouseover="' not in page
    assert page.count("&lt;script&gt;") == 2


def test_every_token_says_its_number_and_its_sign_without_colour() -> None:
    page = section(Inside(heat=(heat(tokens=["a", "b", "c"], values=[40.0, 0.1, -2.0]),)))
    shown = re.findall(r'<span class="([^"]+)" style="--share: ([^"]+)" title="([^"]+)">(\w)</span>', page)
    assert shown == [
        ("above strong", "1.00", "+40.00", "a"),  # beyond the scale, which is that of the answer
        ("above", "0.05", "+0.10", "b"),
        ("below strong", "1.00", f"{MINUS}2.00", "c"),
    ]
    assert "out of its distribution" in page


def test_one_token_no_answer_and_only_zeros() -> None:
    page = section(Inside(heat=(heat(tokens=[""], values=[0.0], answered=""),)))
    assert "∅" in page and "(an empty answer)" in page and "nan" not in page
    assert "429" in section(Inside(heat=(heat(answered={"reason": "the endpoint answered 429"}),)))


@settings(deadline=None)
@given(st.text(max_size=20))
def test_no_token_steers_the_page(text: str) -> None:
    shown = inside.legible(text + "\u202e\x00")
    assert "\u202e" not in shown and "\x00" not in shown and shown


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=9), st.floats(0, 50))
def test_colours_stay_within_their_scale(values: list[float], full: float) -> None:
    drawn = inside.tokens(TokenValues(tokens=("t",) * len(values), values=tuple(values)), full)
    assert all(0 <= float(token.share) <= 1 for token in drawn)
    assert all(("below" in token.classes) == (value <= 0) for token, value in zip(drawn, values, strict=True))


def test_what_was_not_measured_says_why_and_what_was_not_asked_is_left_out() -> None:
    page = unescape(section(Inside(probe=UNMEASURED, heat=UNMEASURED, features=UNMEASURED)))
    assert page.count("Not measured: The subject's activations are not finite.") == 3
    assert section(None) == ""
    assert "token by token" not in section(Inside(probe=probe_reading()))
    assert "nowhere lean" in section(Inside(heat=())) and "No feature hangs" in section(Inside(features=()))


def test_a_card_says_where_its_feature_fires_and_how_far_its_words_hold() -> None:
    page = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section(example().inside))))
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    assert "Fires here 62 % base 3 %" in page and "Elsewhere 4 % base 3 %" in page
    assert "Detection 0.82 another's 0.55" in page and "Fuzzing — 4 windows" in page
    assert "No explanation: It fires in 2 windows" in page and "with nothing before them" in page
