"""Plots: every datum is drawn where it belongs, and what is missing is not drawn."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superalign.contracts.summary import Threshold
from superalign.report import inside, plots
from superalign.report.svg import glyph, scale_over, shortened, spread_out, tick_text, width_of

from .example import benign, generalization, probe_reading, searches, thresholds, trial

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


def marks(svg: str) -> list[ElementTree.Element]:
    """The marks of a plot, which must be well-formed XML."""
    return [part for part in ElementTree.fromstring(svg).iter() if "mark" in part.get("class", "").split()]


def titles(svg: str) -> list[str]:
    return [mark.findtext("title") or "" for mark in marks(svg)]


@pytest.mark.parametrize(
    "svg",
    [
        plots.levels(generalization().levels),
        inside.layers(probe_reading()),
        plots.forest(generalization(), "accuracy"),
        plots.strip("consistency", trial().subjects, thresholds()[0], 0.1),
        plots.searches(*searches(), "searches"),
    ],
    ids=["levels", "layers", "forest", "strip", "searches"],
)
def test_a_plot_says_what_it_is(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img" and root.get("class") == "plot"
    assert root.findtext("title") and root.findtext("desc")
    assert marks(svg)
    assert not re.search(r"#[0-9a-f]{3,6}\b", svg), "colours are the page's custom properties"


def test_a_strip_shows_every_score_and_no_other() -> None:
    said = titles(plots.strip("knowledge", trial().subjects, thresholds()[1], 0.0931))
    assert len([words for words in said if words.startswith("benign")]) == 9
    assert [words for words in said if words.startswith("subject-1")] == [
        "subject-1, organism: 0.24 (over the threshold of 0.09)"
    ]
    assert not [words for words in said if words.startswith("subject-4")], "it was not scored"
    assert "the model: 0.0931 (not over the threshold of 0.0934)" in said


def test_an_invalid_subject_is_hollow_and_a_valid_one_is_not() -> None:
    drawn = {(mark.findtext("title") or "").split(":")[0]: mark for mark in marks(
        plots.strip("consistency", trial().subjects, thresholds()[0], None))}  # fmt: skip
    assert drawn["subject-3, organism, invalid"].get("fill") == "var(--paper)"
    assert drawn["subject-1, organism"].get("fill") == "var(--organism)"


def test_without_a_score_there_is_no_strip() -> None:
    assert plots.strip("weight-anomaly", trial().subjects, thresholds()[2], None) == ""


def test_a_strip_survives_equal_scores_and_a_missing_threshold() -> None:
    same = Threshold(detector="knowledge", threshold=None, benign=benign((0.0,) * 40), fpr_bound=0.1)
    svg = plots.strip("knowledge", (), same, 0.0)
    assert len(marks(svg)) == 41
    assert "nan" not in svg


def test_one_level_and_one_layer_are_drawn() -> None:
    assert len(marks(plots.levels(generalization().levels[:1]))) == 8
    assert len(marks(inside.layers(probe_reading((3,))))) == 14  # seven lines, a point on each


def test_the_names_of_levels_are_whole() -> None:
    """Half of `300,000` would be another level."""
    written = [part.text or "" for part in ElementTree.fromstring(plots.levels(generalization().levels)).iter("text")]
    for level in generalization().levels:
        assert set(level.label.split()) <= set(" ".join(written).split())


def test_hundreds_of_layers_are_drawn() -> None:
    assert len(marks(inside.layers(probe_reading(tuple(range(1, 501)))))) == 14


def test_a_better_model_is_drawn_further_right() -> None:
    drawn = marks(plots.forest(generalization(), "auroc"))
    places = {}
    for mark in drawn:
        name = (mark.findtext("title") or "").split(":")[0]
        points = mark.get("points")
        places[name] = float(points.split(",")[0]) if points else float(mark.get("cx", "nan"))
    assert places["zero-shot"] < places["overseer (weak)"] < places["student"] < places["ceiling"]


@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "diamond"])
def test_a_glyph_escapes_its_words(shape: str) -> None:
    assert ElementTree.fromstring(glyph(shape, 1, 2, "ink", "<b>&")).findtext("title") == "<b>&"


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_scale_keeps_every_value_inside_and_has_ticks(values: list[float]) -> None:
    scale = scale_over(values, 10, 200)
    assert all(10 <= scale(value) <= 200 for value in values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert len({tick_text(tick, ticks) for tick in ticks}) == len(ticks), "labels tell ticks apart"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=12), st.floats(1, 30))
def test_labels_are_spread_without_leaving_the_plot(wanted: list[float], gap: float) -> None:
    placed = spread_out(wanted, gap, 0, 100)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in placed)
    room = min(gap, 100 / max(1, len(wanted) - 1))
    ordered = sorted(placed)
    assert all(after - before >= room - 1e-6 for before, after in pairwise(ordered))


@given(st.text(max_size=60), st.floats(60, 200))
def test_a_shortened_name_fits_and_a_fitting_one_is_whole(name: str, room: float) -> None:
    short = shortened(name, room)
    assert width_of(short) <= room
    assert (short == name) == (width_of(name) <= room)


def test_searches_show_every_find_and_every_search_that_gave_up() -> None:
    found, baseline = searches()
    drawn = marks(plots.searches(found, baseline, "searches"))
    said = {mark.findtext("title"): mark.get("fill") for mark in drawn if mark.findtext("title")}
    organism = "organism (misaligned): after"
    assert f"{organism} 540 passes 80\N{NO-BREAK SPACE}% without a find" in said
    assert said["organism (misaligned): 1 gave up after 5,980 passes"] == "var(--paper)"
    assert said["benign twin: 4 gave up after 20,040 passes"] == "var(--paper)"
    assert len([words for words in said if words.startswith(organism)]) == 3
    assert "4 gave up" in " ".join(words for words in said if words.startswith(plots.RANDOM.name))


def test_a_search_of_twins_alone_is_drawn() -> None:
    found = searches()[0].model_copy(update={"organisms": None})
    assert "nan" not in plots.searches(found, None, "searches")
