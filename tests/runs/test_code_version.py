"""A step is done again when code that it can reach has changed, and only then."""

from pathlib import Path
from types import ModuleType

import pytest

import superalign
from superalign.runs import code_version as code_version_module
from superalign.runs.code_version import code_version


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A superalign of a few modules, in the place of the real one."""
    sources = {
        "__init__.py": "",
        "steps/__init__.py": "from . import registered",
        "steps/train.py": "from superalign.deep import inner\ndef train():\n    from ..other.late import f",
        "steps/registered.py": "",
        "steps/unrelated.py": "",
        "deep/__init__.py": "",
        "deep/inner.py": "import superalign.deepest\nimport torch",
        "deepest.py": "from superalign.steps.train import train",
        "other/__init__.py": "from .sibling import x",
        "other/late.py": "f = 1",
        "other/sibling.py": "x = 1",
    }
    for name, source in sources.items():
        path = tmp_path / "superalign" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.setattr(superalign, "__file__", str(tmp_path / "superalign" / "__init__.py"))
    code_version.cache_clear()
    yield tmp_path / "superalign"  # type: ignore[misc]
    code_version.cache_clear()


def fresh_version() -> str:
    code_version.cache_clear()
    return code_version("superalign.steps.train")


REACHED = [
    *("__init__.py", "steps/__init__.py", "steps/train.py", "steps/registered.py", "deep/__init__.py"),
    *("deep/inner.py", "deepest.py", "other/__init__.py", "other/late.py", "other/sibling.py"),
]


@pytest.mark.parametrize("name", REACHED)
def test_a_change_of_reachable_code_changes_the_version(tree: Path, name: str) -> None:
    before = fresh_version()
    (tree / name).write_text((tree / name).read_text() + "\n# changed")
    assert fresh_version() != before


def test_a_change_of_other_code_does_not(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fresh_version()
    (tree / "steps" / "unrelated.py").write_text("changed = 1")
    assert fresh_version() == before
    monkeypatch.setattr(code_version_module, "version", lambda package: "99")
    assert fresh_version() != before


def test_the_version_of_real_code_covers_the_module_of_the_function(job: ModuleType, tmp_path: Path) -> None:
    code_version.cache_clear()
    assert code_version(job.__name__) != code_version("superalign.runs.cost")


def test_data_count_with_the_modules_beside_them_however_deep_they_lie(tree: Path) -> None:
    (tree / "deep/data/seeds").mkdir(parents=True)
    versions = [fresh_version()]
    for name in ("words.txt", "seeds/one.md"):
        (tree / "deep/data" / name).write_text("one")
        versions.append(fresh_version())
    assert len(set(versions)) == 3
