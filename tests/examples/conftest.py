"""The case studies as modules: they are scripts beside the package, not parts of it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def example() -> Callable[[str], ModuleType]:
    def load(name: str) -> ModuleType:
        key = f"example_{name}"
        if key not in sys.modules:
            spec = importlib.util.spec_from_file_location(key, EXAMPLES / f"{name}.py")
            assert spec and spec.loader
            sys.modules[key] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[key])
        return sys.modules[key]

    return load
