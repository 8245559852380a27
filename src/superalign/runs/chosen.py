"""Parts as a plan names them: by their names, or by their names with arguments."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, PlainValidator

Item = TypeVar("Item")


def _names_a_part(chosen: Any) -> Any:
    """ValueError unless it does."""
    match chosen:
        case str():
            return chosen
        case dict() if len(chosen) == 1 and all(isinstance(own, dict) for own in chosen.values()):
            return chosen
    raise ValueError("should be a name, or a name with arguments, as in `debate: {order: sequential}`")


Chosen = Annotated[str | dict[str, dict[str, Any]], PlainValidator(_names_a_part)]


def each_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """ValueError when one is given twice: what is counted by name would be counted twice, or once for two."""
    if twice := sorted({str(item) for item in items if items.count(item) > 1}):
        raise ValueError(f"names {', '.join(twice)} twice")
    return items


Names = Annotated[tuple[str, ...], AfterValidator(each_once)]


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
