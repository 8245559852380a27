"""A tiny model, made once."""

from __future__ import annotations

import pytest

from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_subject


@pytest.fixture(scope="session")
def tiny() -> ModelSubject:
    return tiny_subject()
