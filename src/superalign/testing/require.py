"""What a broken contract raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def require(kept: bool, contract: str) -> None:
    """AssertionError even under `python -O`."""
    if not kept:
        raise AssertionError(contract)


def raises(kind: type[Exception], call: Callable[..., object], *arguments: Any) -> bool:
    try:
        call(*arguments)
    except kind:
        return True
    return False


def attempt(call: Callable[[], Any], contract: str) -> Any:
    try:
        return call()
    except Exception as error:
        raise AssertionError(f"{contract}; it raised {type(error).__name__}: {error}") from error
