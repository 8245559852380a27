"""The sandbox that solutions run in; without one, whatever runs them is skipped."""

from __future__ import annotations

import pytest

from superalign.contracts.control import Limits
from superalign.control.confinement import SandboxError
from superalign.control.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    found = Sandbox(Limits(seconds=20, cpu_seconds=20))
    try:
        found.ready()
    except SandboxError as error:
        pytest.skip(f"no sandbox here: {error}")
    return found
