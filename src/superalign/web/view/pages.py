"""Draws the pages. Every string that goes into one is made visible, then escaped; none is ever taken for markup."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from superalign.contracts.records import Unscored
from superalign.contracts.review import MonitorOpinion
from superalign.report import wording
from superalign.report.tables import TONES
from superalign.web.view.visible import one_line, visible

Item = TypeVar("Item")

STATE_TONES = {
    "running": "active", "done": "plain", "failed": "bad", "killed": "bad", "stopped": "open", "unreadable": "bad",
    "pending": "open", "approved": "good", "rejected": "bad", "asked": "active", "expired": "bad",
    "waiting for review": "open", "paused": "open", "sealed": "open", "unsealed": "plain",
    "invalid": "muted",
}  # fmt: skip
SUSPICIOUS, UNSURE = 0.7, 0.3  # only colours hang on these


@dataclass(frozen=True)
class Paged(Generic[Item]):
    """One page of many. `number` counts from 1."""

    items: tuple[Item, ...]
    number: int
    pages: int
    total: int


def paged(items: Sequence[Item], number: int, size: int) -> Paged[Item]:
    """The page of this number, or the nearest that there is."""
    pages = max(1, -(-len(items) // size))
    number = min(max(number, 1), pages)
    return Paged(tuple(items[(number - 1) * size : number * size]), number, pages, len(items))


class Pages:
    """The templates, with the form's secret that all of them share."""

    def __init__(self, csrf: str) -> None:
        self._environment = Environment(
            loader=PackageLoader("superalign.web.view"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self._environment.globals.update(csrf=csrf, wording=wording, tone=tone, now=time.time)
        self._environment.filters.update(
            when=when,
            moment=moment,
            one_line=one_line,
            left=left,
            segment=segment,
            suspicion=suspicion,
            as_json=as_json,
        )
        self._environment.tests["unscored"] = lambda found: isinstance(found, Unscored)

    def draw(self, name: str, /, **content: Any) -> str:
        return self._environment.get_template(f"{name}.html").render(**content)


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def tone(words: str) -> str:
    """The colour of a state or finding."""
    return STATE_TONES.get(words) or TONES.get(words, "")


def suspicion(opinion: MonitorOpinion) -> str:
    """The colour of a monitor's suspicion: never that of something good."""
    if isinstance(opinion.suspicion, Unscored):
        return "open"
    return "bad" if opinion.suspicion >= SUSPICIOUS else "open" if opinion.suspicion >= UNSURE else "plain"


def when(iso: str) -> str:
    """A time of the ledger or manifest as `2026-11-23 10:26 UTC`; as it is, where it is none."""
    try:
        return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return iso


def moment(seconds: float) -> str:
    """The same of Unix seconds."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return wording.MISSING


def left(deadline: float) -> str:
    """How long until then, in whole minutes or more."""
    minutes = int((deadline - time.time()) // 60)
    if minutes < 0:
        return "expired"
    if minutes < 60:
        return f"{minutes}{wording.SPACE}min left"
    if minutes < 48 * 60:
        return f"{minutes // 60}{wording.SPACE}h {minutes % 60}{wording.SPACE}min left"
    return f"{minutes // 1440}{wording.SPACE}days left"


def segment(name: str) -> str:
    """`name` as one part of an address."""
    return quote(name, safe="")


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
