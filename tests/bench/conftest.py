"""A tiny model, made once, and a machine that is soon known: how fast it is matters to no test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from superalign.bench import floor
from superalign.models.subject import ModelSubject
from superalign.testing.tiny import tiny_subject


@pytest.fixture(scope="session")
def tiny() -> ModelSubject:
    return tiny_subject()


@pytest.fixture(scope="session", autouse=True)
def soon_known() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(floor, "TRY_SECONDS", 0.01)
        yield
