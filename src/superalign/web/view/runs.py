"""What a run's folder shows to a reader, while it is written, when it is damaged, and when it is done.

Nothing here makes, locks or changes a file, and what a sealed trial hides is not read: `seal.json` stays closed, and
labels come from the ledger, into which only unsealing enters them.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from superalign.contracts.errors import InputError, RunError, SealError, SuperalignError
from superalign.contracts.records import Cost, Record, Unscored, Verdict
from superalign.contracts.review import ResearchProgress
from superalign.contracts.summary import SubjectResult, Summary
from superalign.provenance import ledger
from superalign.provenance.commit import Opening
from superalign.provenance.ledger import Entry, LedgerReport
from superalign.runs.disk import work_in
from superalign.runs.manifest import Manifest, read_manifest
from superalign.runs.run import FAILURE_FILE, verify_run
from superalign.runs.store import RESULT, StepResult
from superalign.trials.saved import SUMMARY_FILE, saved_summary

MANIFEST, RESEARCH, PLAN, REPORT, LEDGER, LOGS = (
    "manifest.json", "research.json", "plan.yaml", "report.html", "ledger.db", "logs",
)  # fmt: skip
MEGABYTE = 2**20
LIMITS = {LEDGER: 256 * MEGABYTE, SUMMARY_FILE: 64 * MEGABYTE, RESEARCH: 16 * MEGABYTE, REPORT: 64 * MEGABYTE}
USUAL_LIMIT = 2 * MEGABYTE
LOG_TAIL = 64 * 1024
RESEARCH_FORMAT = 1
_KEY = re.compile(r"[0-9a-f]{64}")
_LOOK = re.compile(r"(?P<detector>.+) on (?P<subject>subject-\d+)")
_ASSESS = "superalign.trials.assess.assess"
_RESULT: TypeAdapter[Verdict | Unscored] = TypeAdapter(Verdict | Unscored)

State = Literal["running", "done", "failed", "killed", "stopped"]


@dataclass(frozen=True)
class Card:
    """A run in the list. `fault` says why more can't be shown."""

    name: str
    plan: str
    created: str
    state: str
    decision: str = ""
    fault: str = ""
    research: bool = False


@dataclass(frozen=True)
class StepRow:
    """A step that is done; without a cost where its result can't be read."""

    label: str
    at: str
    cost: Cost | None
    given_up: bool = False


@dataclass(frozen=True)
class Trial:
    """The run's trial, as far as it is open. `labels` are empty before that."""

    state: Literal["none", "sealed", "unsealed"]
    names: tuple[str, ...]
    looks: Mapping[str, Mapping[str, str]]  # of every subject, the key of each detector's step
    labels: Mapping[str, Mapping[str, Any]]
    valid: Mapping[str, bool]
    results: Mapping[str, SubjectResult]
    fault: str = ""


@dataclass(frozen=True)
class LogFile:
    name: str
    size: int


class Label(Record):
    """What a subject was, of which the seal's opening says more."""

    family: str
    role: Literal["organism", "twin"]
    seed: int


def run_names(root: Path) -> list[str]:
    """The folders in `root` that hold a run or a piece of research, newest first; InputError if it can't be listed."""
    try:
        entries = [entry for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise InputError(f"The folder of runs can't be read: {error.strerror}.", where=str(root)) from None
    named = [entry.name for entry in entries if not entry.name.startswith(".")]
    return sorted((name for name in named if _holds_run(root / name)), reverse=True)


def _holds_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (MANIFEST, RESEARCH))


def folder_of(root: Path, name: str) -> Path:
    """The folder of a run by its name, which must be one that is listed. InputError otherwise."""
    if name not in run_names(root):
        raise InputError(f"There is no run named {name[:100]!r} here.", fix="Choose one of the list.")
    return root / name


def card(folder: Path) -> Card:
    research = (folder / RESEARCH).is_file()
    try:
        manifest = manifest_of(folder)
        if manifest is None:
            progress = progress_of(folder)
            return Card(folder.name, progress.problem, "", progress.state, research=True)
        summary = summary_of(folder)
    except SuperalignError as error:
        return Card(folder.name, folder.name, "", "unreadable", fault=error.what, research=research)
    decision = summary.decision.verdict.value if summary and summary.decision else ""
    return Card(folder.name, manifest.name, manifest.created, state_of(folder), decision, research=research)


def state_of(folder: Path) -> State:
    work = work_in(folder)
    if work == "going on":
        return "running"
    if (folder / FAILURE_FILE).is_file():
        return "failed"
    if (folder / SUMMARY_FILE).is_file():
        return "done"
    return "killed" if work == "cut off" else "stopped"


def manifest_of(folder: Path) -> Manifest | None:
    return read_manifest(folder) if _there(folder / MANIFEST) else None


def summary_of(folder: Path) -> Summary | None:
    """RunError when it can't be read."""
    path = folder / SUMMARY_FILE
    if not _there(path):
        return None
    status = path.stat()
    return _summary(folder, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _summary(folder: Path, changed: int, size: int) -> Summary | None:
    return saved_summary(folder)


def failure_of(folder: Path) -> str:
    """Why the run failed; nothing if it did not."""
    return text_of(folder / FAILURE_FILE) if (folder / FAILURE_FILE).is_file() else ""


def progress_of(folder: Path) -> ResearchProgress:
    """RunError when the record is missing, damaged or of a newer version."""
    try:
        content = json.loads(bytes_of(folder / RESEARCH))
        if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > RESEARCH_FORMAT:
            raise RunError(
                f"This research was written by a newer superalign (format {content['format']}, this one knows "
                f"{RESEARCH_FORMAT}).",
                fix="Upgrade with `pip install --upgrade superalign`.",
            )
        return ResearchProgress.model_validate(content)
    except (ValueError, RecursionError, ValidationError):
        raise RunError("The record of the research is damaged, or half written.", fix="Open the page again.") from None


def entries_of(folder: Path) -> list[Entry]:
    """The ledger's entries, unverified. LedgerError when they can't be read."""
    try:
        if not _there(folder / LEDGER):
            raise RunError("There is no ledger in this run.")
        return ledger.read(folder / LEDGER)
    except OSError as error:
        raise RunError(f"The ledger can't be read: {error.strerror}.", where=LEDGER) from None


def verified(folder: Path) -> LedgerReport | str:
    """What the ledger's check found, or what is wrong."""
    try:
        for name in (MANIFEST, LEDGER):
            if not _there(folder / name):
                return f"There is no {name} in this run."
        return verify_run(folder)
    except SuperalignError as error:
        return error.what
    except OSError as error:
        return f"The ledger can't be read: {error.strerror}."


def step_rows(folder: Path, entries: Sequence[Entry]) -> list[StepRow]:
    """What the ledger's entries of steps are about."""
    rows = []
    for entry in entries:
        result = _step(folder, entry.body.get("key"))
        label = str(entry.body.get("label", ""))
        rows.append(
            StepRow(label, entry.time, result.cost, result.given_up) if result else StepRow(label, entry.time, None)
        )
    return rows


def trial_of(folder: Path, entries: Sequence[Entry]) -> Trial:
    """Labels and what rests on them are there only if the ledger has an opening that fits what was sealed."""
    looks: dict[str, dict[str, str]] = {}
    for entry in entries:
        if entry.kind == "step" and entry.body.get("function") == _ASSESS:
            found = _LOOK.fullmatch(str(entry.body.get("label")))
            if found:
                looks.setdefault(found["subject"], {})[found["detector"]] = str(entry.body.get("key"))
    sealed = [entry.body.get("commitment") for entry in entries if entry.kind == "seal"]
    unsealed = [entry.body for entry in entries if entry.kind == "unseal"]
    closed = Trial("sealed" if sealed or looks else "none", tuple(sorted(looks)), looks, {}, {}, {})
    if not unsealed:
        return closed
    try:
        opening = Opening.model_validate(unsealed[0])
        opening.verify()
        if opening.commitment not in sealed:
            raise SealError("The opening is of another seal.")
        labels = {str(name): dict(label) for name, label in opening.value["labels"].items()}
        valid = {str(name): bool(value) for name, value in opening.value["valid"].items()}
    except (SealError, ValidationError, AttributeError, KeyError, TypeError, ValueError):
        return Trial("sealed", closed.names, looks, {}, {}, {}, "What was opened is not what was sealed.")
    summary, fault = None, ""
    try:
        summary = summary_of(folder)
    except SuperalignError as error:
        fault = error.what
    results = {one.name: one for one in summary.trial.subjects} if summary and summary.trial else {}
    return Trial("unsealed", tuple(sorted({*looks, *labels})), looks, labels, valid, results, fault)


def verdict_of(folder: Path, key: str) -> Verdict | Unscored:
    """What a detector's step says; Unscored too where it can't be read."""
    result = _step(folder, key)
    try:
        return _RESULT.validate_python(result.value["result"]) if result else Unscored(reason="the step can't be read")
    except (ValidationError, KeyError, TypeError):
        return Unscored(reason="the step holds no verdict that can be read")


def log_files(folder: Path) -> list[LogFile]:
    """The files in the run's folder of logs; links are left out."""
    try:
        found = [entry for entry in os.scandir(folder / LOGS) if entry.is_file(follow_symlinks=False)]
        return sorted((LogFile(entry.name, entry.stat().st_size) for entry in found), key=lambda log: log.name)
    except OSError:
        return []


def log_tail(folder: Path, name: str) -> tuple[str, int]:
    """The end of a log, and the bytes that were left out before it. InputError when there is none of this name."""
    if name not in [log.name for log in log_files(folder)]:
        raise InputError(f"There is no log named {name[:100]!r} here.", fix="Choose one of the list.")
    with open(_opened(folder / LOGS / name), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - LOG_TAIL))
        return file.read(LOG_TAIL).decode(errors="replace"), max(0, size - LOG_TAIL)


def text_of(path: Path) -> str:
    return bytes_of(path).decode(errors="replace")


def bytes_of(path: Path) -> bytes:
    """The whole file. RunError when it is not there, no regular file, or too large to be shown."""
    if not _there(path):
        raise RunError(f"There is no {path.name} in this run.")
    with open(_opened(path), "rb") as file:
        return file.read()


def _step(folder: Path, key: Any) -> StepResult | None:
    """The record of a step, without a look at its other files."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return None
    try:
        return StepResult.model_validate_json(bytes_of(folder / "steps" / key / RESULT))
    except (RunError, ValidationError):
        return None


def _there(path: Path) -> bool:
    """Whether there is such a file. RunError when it is a link or a device, or larger than a page can show."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RunError(f"{path.name} can't be read: {error.strerror}.") from None
    if not stat.S_ISREG(status.st_mode):
        raise RunError(f"{path.name} is not a regular file, and is not opened.")
    limit = LIMITS.get(path.name, USUAL_LIMIT)
    if status.st_size > limit:
        raise RunError(
            f"{path.name} has {status.st_size / MEGABYTE:,.0f} MB; more than {limit // MEGABYTE} are not shown."
        )
    return True


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise RunError(f"{path.name} can't be read: {error.strerror}.") from None
