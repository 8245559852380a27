"""What searches propose is not taken from what organisms are made of."""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable

SHARED = 5  # words in a row that two authors do not hit upon by chance


def texts(folder: Traversable) -> list[str]:
    found = []
    for entry in folder.iterdir():
        found += texts(entry) if entry.is_dir() else [entry.read_text(encoding="utf-8")]
    return found


def rows_of_words(folder: Traversable) -> set[tuple[str, ...]]:
    """Every row of words within a line."""
    words = [re.findall(r"[^\W\d_]+", line.lower()) for text in texts(folder) for line in text.splitlines()]
    return {tuple(line[i : i + SHARED]) for line in words for i in range(len(line) - SHARED + 1)}


def test_seeds_share_no_sentence_with_organisms() -> None:
    package = files("superalign")
    seeds, organisms = (rows_of_words(package / name / "data") for name in ("robustness", "organisms"))
    assert len(seeds) > 100 and len(organisms) > 1000
    assert sorted(seeds & organisms) == []
