"""Opens a report in a headless Chromium and measures what a reader would see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr", "--virtual-time-budget=2000", "--dump-dom",
)  # fmt: skip
SECTIONS = (
    "bottom-line", "pipeline", "asked", "oversee", "generalize", "validate", "inside", "stress-test", "thresholds",
    "decide", "argument", "limits", "cost",
)  # fmt: skip
WIDTHS = (360, 390, 820, 1200)
TOUCHING = 3  # pixels by which the boxes of two texts may overlap: boxes are taller than letters

# The report runs no script, so the measuring is done from outside: each width is a frame of a page of ours.
MEASURE = """
function box(element) { const b = element.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }
function marks(plot) {
  const sizes = [...plot.querySelectorAll('.mark')].map(mark => mark.getBBox());
  return sizes.filter(size => size.width + size.height > 0).length;
}
window.onload = () => {
  const found = [...document.querySelectorAll('iframe')].map(frame => {
    const page = frame.contentDocument, root = page.documentElement;
    return {
      width: frame.clientWidth, visible: root.clientWidth, needed: root.scrollWidth,
      sections: [...page.querySelectorAll('section')].map(s => s.id),
      plots: [...page.querySelectorAll('svg.plot')].map(plot => ({
        title: plot.querySelector('title').textContent, marks: marks(plot), box: box(plot),
        texts: [...plot.querySelectorAll('text')].map(t => ({words: t.textContent, box: box(t)})),
      })),
      scripts: page.scripts.length,
      background: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      colours: new Set([...page.querySelectorAll('.mark')].map(m => {
        const style = frame.contentWindow.getComputedStyle(m); return style.fill + style.stroke; })).size,
    };
  });
  const output = document.createElement('pre');
  output.id = 'measured';
  output.textContent = JSON.stringify(found);
  document.body.replaceChildren(output);
};
"""


def find_browser() -> str | None:
    """The first Chromium on the path."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def open_page(page: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's DOM after its scripts ran, and the lines that it wrote to the console."""
    browser = find_browser()
    assert browser, "No browser to look at the report with: apt-get install chromium"
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", *flags, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measure(report: Path, widths: Sequence[int] = WIDTHS, *flags: str) -> list[dict[str, Any]]:
    """What the report looks like at each width: sections, plots with their marks and texts, the width that it needs."""
    source = escape(report.read_text(encoding="utf-8"))
    style = "border:0;height:900px;width:"
    frames = "".join(f'<iframe style="{style}{width}px" srcdoc="{source}"></iframe>' for width in widths)
    harness = f'<!doctype html><meta charset="utf-8"><body>{frames}<script>{MEASURE}</script>'
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "frames.html"
        page.write_text(harness, encoding="utf-8")
        dom, console = open_page(page, *flags)
    assert not console, console
    written = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert written, "the report could not be measured"
    found: list[dict[str, Any]] = json.loads(unescape(written[1]))
    return found


def cut_off(plot: dict[str, Any]) -> list[str]:
    """Texts that leave the plot on the left or on the right."""
    left, _, right, _ = plot["box"]
    return [text["words"] for text in plot["texts"] if text["box"][0] < left - 1 or text["box"][2] > right + 1]


def overlaps(texts: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs of texts that lie on each other."""

    def shared(first: Sequence[float], second: Sequence[float]) -> float:
        wide = min(first[2], second[2]) - max(first[0], second[0])
        high = min(first[3], second[3]) - max(first[1], second[1])
        return min(wide, high)

    return [
        (text["words"], other["words"])
        for index, text in enumerate(texts)
        for other in texts[index + 1 :]
        if shared(text["box"], other["box"]) > TOUCHING
    ]


def check_report(report: Path, sections: Sequence[str] = SECTIONS) -> list[dict[str, Any]]:
    """Assert that a person can read `report` at every width, that it has `sections` and runs nothing.

    Returns what was measured, one entry per width.
    """
    _, console = open_page(report)
    assert not console, console
    found = measure(report)
    for page in found:
        at = f"at {page['width']} pixels"
        assert set(sections) <= set(page["sections"]), f"{at}: missing {set(sections) - set(page['sections'])}"
        assert page["needed"] <= page["visible"], f"{at}: the page needs {page['needed']} pixels"
        assert page["scripts"] == 0, f"{at}: the report holds a script"
        for plot in page["plots"]:
            assert plot["marks"] > 0, f"{at}: nothing is drawn in {plot['title']!r}"
            assert not cut_off(plot), f"{at}: {plot['title']!r} cuts off {cut_off(plot)}"
            crossed = overlaps(plot["texts"])
            assert not crossed, f"{at}: {plot['title']!r} has texts on each other: {crossed}"
    return found
