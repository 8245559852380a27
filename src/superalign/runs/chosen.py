"""A part as a plan names it: by its name, or by its name with arguments."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator


def _names_a_part(chosen: Any) -> Any:
    """ValueError unless it does."""
    match chosen:
        case str():
            return chosen
        case dict() if len(chosen) == 1 and all(isinstance(own, dict) for own in chosen.values()):
            return chosen
    raise ValueError("should be a name, or a name with arguments, as in `debate: {order: sequential}`")


Chosen = Annotated[str | dict[str, dict[str, Any]], PlainValidator(_names_a_part)]


def named(chosen: Chosen) -> tuple[str, dict[str, Any]]:
    """The part's name, and its arguments."""
    if isinstance(chosen, str):
        return chosen, {}
    [(name, arguments)] = chosen.items()
    return name, arguments


def label(chosen: Chosen) -> str:
    """For people: `debate`, or `debate (order sequential)`."""
    name, arguments = named(chosen)
    said = ", ".join(f"{argument} {value}" for argument, value in arguments.items())
    return f"{name} ({said})" if said else name
