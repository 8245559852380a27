"""Where bubblewrap can't work at all, what needs it is skipped and says why; that it refuses is tested everywhere."""

import pytest

from superalign.contracts.errors import SandboxError
from superalign.control.sandbox import Sandbox


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """A sandbox without packages, which starts fast."""
    found = Sandbox(packages=())
    try:
        found.ready()
    except SandboxError as problem:
        if "does not hold" in problem.what:
            raise
        pytest.skip(f"no sandbox on this machine: {problem}")
    return found
