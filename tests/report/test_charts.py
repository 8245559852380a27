"""Charts are whole SVG files that say what they show, and refuse what can't be drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from superalign.contracts.errors import InputError
from superalign.report.charts import Curve, curves, heatmap, write

SVG = "{http://www.w3.org/2000/svg}"


def drawn(path: Path, *charts: str) -> ET.Element:
    write(path, *charts)
    return ET.parse(path).getroot()


def test_curves_are_where_their_values_are(tmp_path: Path) -> None:
    shown = [Curve("a < b", [1, 10, 100], [0.0, 0.5, 1.0]), Curve("flat", [1, 10, 100], [0.5, 0.5, 0.5])]
    root = drawn(tmp_path / "a" / "chart.svg", curves("key", "A title", shown, x="step", y="share", log_x=True))
    paths = [element.get("d") or "" for element in root.iter(f"{SVG}path")]
    points = [[tuple(map(float, pair.split())) for pair in path[1:].split("L")] for path in paths]
    (left, low), (middle, half), (right, high) = points[0]
    assert right - middle == pytest.approx(middle - left, abs=0.02)  # powers of ten are as far apart
    assert low > half > high and {y for _, y in points[1]} == {half}
    assert "a < b" in {element.text for element in root.iter(f"{SVG}text")}


def test_a_cell_is_as_full_as_its_value_and_coloured_by_its_sign(tmp_path: Path) -> None:
    cells = heatmap("key", "Title", [[1.0, -0.5], [0.0, 2.0]], rows=["r", "s"], columns=["c", "d"], x="x", y="y")
    boxes = [box for box in drawn(tmp_path / "map.svg", cells).iter(f"{SVG}rect") if box.get("class") == "cell"]
    assert [float(box.get("fill-opacity") or 0) for box in boxes] == [0.5, 0.25, 0.0, 1.0]
    assert boxes[0].get("fill") == boxes[3].get("fill") != boxes[1].get("fill")


def test_charts_stand_below_each_other(tmp_path: Path) -> None:
    one = curves("one", "One", [Curve("a", [0, 1], [0, 1])], x="x", y="y")
    root = drawn(tmp_path / "both.svg", one, one.replace("one-", "two-"))
    tops = [float(chart.get("y") or 0) for chart in root.findall(f"{SVG}svg")]
    assert tops[0] == 0 < tops[1] < float(root.get("height") or 0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: Curve("a", [1, 2], [1]),
        lambda: Curve("a", [], []),
        lambda: Curve("a", [1], [float("nan")]),
        lambda: curves("k", "t", [Curve("a", [0, 1], [1, 1])], x="x", y="y", log_x=True),
        lambda: heatmap("k", "t", [[1.0]], rows=["a"], columns=["b", "c"], x="x", y="y"),
    ],
)
def test_what_cannot_be_drawn(draw: object) -> None:
    with pytest.raises(InputError):
        draw()  # type: ignore[operator]
