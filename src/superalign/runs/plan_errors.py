"""What is wrong in a plan, or in a file that it names: which key, what it holds, and what to type instead."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from superalign.contracts.errors import PlanError
from superalign.contracts.records import Record

SomeRecord = TypeVar("SomeRecord", bound=Record)


def validated(model: type[SomeRecord], content: dict[str, Any], path: Path) -> SomeRecord:
    """The record that `content`, read from `path`, holds. PlanError when it is none."""
    try:
        # Strict JSON: true is no number and "3" no integer, but lists become tuples as they should.
        return model.model_validate_json(json.dumps(content, default=_date), strict=True)
    except ValidationError as error:
        details = error.errors()
        # A misspelt key that is required shows up twice; the spelling is what helps.
        details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
        raise _explained(model, details[0], path) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise PlanError(
            f"The file holds something that is neither text, number, list nor section: {error}.",
            where=str(path),
            fix="Use plain values only.",
        ) from None


def _explained(model: type[Record], detail: ErrorDetails, path: Path) -> PlanError:
    *section_location, last = detail["loc"] or ("",)
    section = _section_at(model, section_location)
    dotted = ".".join(str(part) for part in detail["loc"])
    known = {field.alias or name: field for name, field in section.model_fields.items()}
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(str(last), known, n=1, cutoff=0.5)
        fix = f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}."
        return PlanError(f"Unknown key `{dotted}`.", where=str(path), fix=fix)
    description = known[str(last)].description if str(last) in known else None
    if detail["type"] == "missing":
        return PlanError(f"The key `{dotted}` is missing.", where=str(path), fix=f"Add it. {description or ''}".strip())
    expected = detail["msg"].removeprefix("Input ").removeprefix("Value error, ").replace("String should", "should")
    fix = " ".join(part for part in (f"It {expected}.", description) if part)
    return PlanError(f"`{dotted}` is {shown(detail['input'])}.", where=str(path), fix=fix)


def _section_at(model: type[Record], location: Sequence[str | int]) -> type[Record]:
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                model = record_in(field.annotation) or model
    return model


def record_in(annotation: Any) -> type[Record] | None:
    """The record that a key holds, once or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := record_in(part))), None)


def shown(value: Any) -> str:
    """A value in an error, in short."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _date(value: Any) -> str:
    """YAML reads 2026-01-31 as a date; no key here is one, so it was meant as text."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"{value!r}")
