"""`manifest.json`: what a run was made with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

import superalign
from superalign.contracts.errors import RunError
from superalign.contracts.records import Record
from superalign.runs.code_version import installed_versions
from superalign.runs.disk import write_atomically
from superalign.runs.plan import Plan, plan_digest

FORMAT = 1


class Manifest(Record):
    """Enough to tell where a run's numbers came from."""

    format: Literal[1] = 1
    name: str
    created: str = Field(description="UTC, ISO 8601.")
    seed: int
    plan_digest: str
    ledger_public_key: str = Field(description="A ledger that was put in place of the run's own does not fit it.")
    versions: dict[str, str | None] = Field(description="Python, and the packages that results hang on.")
    git_commit: str | None = Field(description="Of superalign's checkout, `-dirty` if it was; null if installed.")
    platform: str
    cpus: int
    notes: dict[str, Any] = Field(default_factory=dict, description="What steps found out, such as model digests.")


def describe_run(plan: Plan, ledger_public_key: str) -> Manifest:
    """The manifest of a run that this process works on now."""
    return Manifest(
        name=plan.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=plan.seed,
        plan_digest=plan_digest(plan),
        ledger_public_key=ledger_public_key,
        versions={"python": platform.python_version(), **installed_versions()},
        git_commit=_git_commit(),
        platform=platform.platform(),
        cpus=os.cpu_count() or 1,
    )


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a run folder, None if it has none. RunError when it is damaged or of a newer format."""
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
            raise RunError(
                f"This run was written by a newer superalign (format {content['format']}, this one knows {FORMAT}).",
                where=str(folder),
                fix="Upgrade with `pip install --upgrade superalign`, or choose another folder for runs.",
            )
        return Manifest.model_validate(content)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, ValidationError):
        raise RunError(
            "The run's manifest is damaged.",
            where=str(path),
            fix="Restore the file, or delete it and run the plan again: it is then written anew, and steps are kept.",
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_atomically(folder / "manifest.json", manifest.model_dump_json(indent=2) + "\n")


def _git_commit() -> str | None:
    package = Path(superalign.__file__).parent
    # The first asks whether git tracks us at all: an installed copy may lie within a checkout of something else.
    for arguments in ("ls-files --error-unmatch __init__.py", "describe --always --dirty --abbrev=40 --exclude=*"):
        try:
            git = subprocess.run(
                ["git", "-C", str(package), *arguments.split()], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
    return git.stdout.strip()
