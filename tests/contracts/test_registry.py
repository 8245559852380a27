"""Parts by name, ours and those of installed packages, which may be broken."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from superalign.contracts import registry as module
from superalign.contracts.errors import InputError, UnknownName
from superalign.contracts.registry import REGISTRIES, Registry

PACKAGE = """
class Stars:
    '''Is this star in that constellation?

    And more.'''
    def __init__(self, brightest: int = 10) -> None:
        self.brightest = brightest
"""


@pytest.fixture
def registry() -> Registry:
    return Registry("tasks")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `stars-for-superalign`, with entry points in its metadata, as pip would leave it."""
    facts = tmp_path / "stars_for_superalign-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stars-for-superalign\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[superalign.tasks]\nstars = stars_of_another:Stars\n")
    (tmp_path / "stars_of_another.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "stars_of_another", raising=False)
    return tmp_path


def test_our_parts_are_there() -> None:
    found = {kind: registry.names() for kind, registry in REGISTRIES.items()}
    assert "cities" in found["tasks"] and "few-labels" in found["overseers"]
    assert {"consistency", "knowledge"} <= set(found["detectors"])
    assert {"conditional-lying", "password-lock"} <= set(found["organisms"])
    assert all(registry.describe(name) for registry in REGISTRIES.values() for name in registry.names())


def test_two_of_one_name(registry: Registry) -> None:
    registry.register("mine")(dict)
    registry.register("mine")(dict)
    with pytest.raises(InputError, match="Two tasks are named 'mine'"):
        registry.register("mine")(list)


def test_an_unknown_name_gets_the_nearest(registry: Registry) -> None:
    with pytest.raises(UnknownName, match=r"no task named 'citis'.*Did you mean 'cities'"):
        REGISTRIES["tasks"].make("citis")


def test_wrong_arguments_name_the_right_ones() -> None:
    with pytest.raises(InputError, match=r"'few-labels' can't be made.*'dept'.*It takes: .*depth: "):
        REGISTRIES["overseers"].make("few-labels", dept=0.3)


def test_a_part_can_be_made_again_from_what_it_remembers() -> None:
    part = REGISTRIES["overseers"].make("few-labels", depth=0.3)
    again = REGISTRIES[part.part_call.kind].make(part.part_call.name, **part.part_call.arguments)
    assert again.depth == 0.3 and again.part_call == part.part_call


def test_parts_of_an_installed_package(registry: Registry, installed: Path) -> None:
    assert "stars" in registry.names()
    assert registry.make("stars", brightest=3).brightest == 3
    assert registry.describe("stars") == "Is this star in that constellation?"


@pytest.mark.parametrize(
    "source", ["raise RuntimeError('half installed')", "import a_module_that_is_not", "x = 1", "("]
)
def test_a_broken_package_is_named_each_time(registry: Registry, installed: Path, source: str) -> None:
    (installed / "stars_of_another.py").write_text(source)
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"'stars-for-superalign' offers 'stars'.*pip uninstall stars-for-superalign"
        ):
            registry.names()


def test_a_package_with_a_name_of_ours(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.register("cities")(list)
    entry = EntryPoint("cities", "builtins:dict", "superalign.tasks")
    monkeypatch.setattr(module, "entry_points", lambda group: [entry])
    with pytest.raises(InputError, match="Two tasks are named 'cities'"):
        registry.names()
