"""A research run on disk: what it set out to do, everything that it tried, and the ledger of it all.

runs/<date>-research-<problem>-<proposer>-<hash>/
  settings.json                what it set out to do
  ledger.db                    proposals before they ran, opinions, approvals, outcomes, queries, the decision
  proposals/0012.json          one trial, whole or not there
  research.json                how far it is, for whoever watches
  report.md  report.html       the write-up
  stop                         put there by a person: the run ends after the trial that it is at
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from superalign.contracts.capability import Limit
from superalign.contracts.control import Oversight
from superalign.contracts.errors import InputError, RunError, SealError
from superalign.contracts.records import Record
from superalign.contracts.registry import PartCall
from superalign.contracts.research import Outcome, Proposal
from superalign.provenance.digest import digest
from superalign.provenance.ledger import Ledger
from superalign.runs.disk import FolderLock, disk_errors, write_atomically

Side = Literal["baseline", "proposer", "control"]
STOP = "stop"


class Settings(Record):
    """All that a research run does follows from this, the models' and solutions' noise aside."""

    problem: PartCall
    proposer: PartCall
    seed: int = 0
    seconds: float = Field(gt=0, description="Of trials, the control's and the waiting for approval included.")
    trials: int = Field(0, ge=0, description="Of the proposer, then stop; 0 for as many as there is time for.")
    patience: int = Field(0, ge=0, description="Trials of the proposer without a better one, then stop; 0 for never.")
    target: float | None = Field(None, description="Stop once a development score is as good.")
    oversight: Oversight = Field("suspicious", description="Which proposals a person approves before they run.")
    reviewer_minutes: float = Field(
        10, ge=0, description="Of a person's time, for all runs in the folder: what the first one said."
    )
    deadline_seconds: float = Field(0, ge=0, description="How long a proposal waits for a person; then it is denied.")
    queries: int = Field(40, ge=0, description="Of the sealed samples, by all runs with this problem and seed.")
    above_reference: bool = Field(False, description="Go on where solutions are better than the recorded human one.")
    capability: tuple[Limit, ...] = Field(
        (),
        exclude_if=lambda limits: not limits,  # or runs that were begun without it would not be found again
        description="What a record says of limits on the proposer's capability; it works only where all hold.",
    )


class Trial(Record):
    """A proposal of one side, with what came of it."""

    side: Side
    outcome: Outcome


class ResearchRun:
    """A research run that this process works on. Opening one that was killed finds all that it had finished."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        with disk_errors(folder):
            self._lock = FolderLock(folder)
            (folder / "proposals").mkdir(exist_ok=True)
            write_atomically(folder / "settings.json", settings.model_dump_json(indent=1))
            self.ledger = Ledger(folder / "ledger.db")
        self.trials = [_read(path, Trial) for path in sorted((folder / "proposals").glob("*.json"))]

    @classmethod
    def open(cls, root: Path, settings: Settings) -> Self:
        """The newest run with these settings under `root`, or a new one."""
        name = f"research-{settings.problem.name}-{settings.proposer.name}-{digest(settings)[:8]}"
        with disk_errors(root.parent if not root.exists() else root):
            root.mkdir(parents=True, exist_ok=True)
            mine = re.compile(rf"\d{{4}}-\d{{2}}-\d{{2}}-{re.escape(name)}")
            known = sorted(path for path in root.iterdir() if mine.fullmatch(path.name))
            folder = known[-1] if known else root / f"{date.today().isoformat()}-{name}"
            folder.mkdir(exist_ok=True)
        return cls(folder, settings)

    @classmethod
    def existing(cls, folder: Path) -> Self:
        """InputError when there is no research run in `folder`."""
        return cls(folder, settings_of(folder))

    def of(self, side: Side) -> list[Trial]:
        """What one side has tried, in order."""
        return [trial for trial in self.trials if trial.side == side]

    def registered(self, side: Side) -> Proposal | None:
        """A proposal that was registered and has no outcome, since the run was killed while it was tried."""
        known = {trial.outcome.number for trial in self.trials}
        for entry in self.ledger.entries("proposal"):
            if entry.body["side"] == side and entry.body["number"] not in known:
                return Proposal.model_validate(entry.body["proposal"])
        return None

    def register(self, side: Side, number: int, proposal: Proposal, analysis: dict[str, Any]) -> None:
        """Commit to a proposal, and to what would count as success, before it runs."""
        if not any(entry.body["number"] == number for entry in self.ledger.entries("proposal")):
            self.ledger.append(
                "proposal",
                {"side": side, "number": number, "proposal": proposal.model_dump(mode="json"), "analysis": analysis},
            )

    def keep(self, trial: Trial) -> None:
        """Enter what came of a trial, failed ones too."""
        number = trial.outcome.number
        plain = trial.model_dump(mode="json", exclude={"outcome": {"proposal"}})
        if not any(entry.body["outcome"]["number"] == number for entry in self.ledger.entries("trial")):
            self.ledger.append("trial", plain)
        self.write(f"proposals/{number:04}.json", trial.model_dump_json(indent=1))
        self.trials.append(trial)

    def note_once(self, kind: str, body: dict[str, Any]) -> None:
        """Enter what holds for the whole run. SealError when it was entered before and is another now."""
        known = self.ledger.entries(kind)
        if not known:
            self.ledger.append(kind, body)
        elif known[0].body != body:
            raise SealError(
                f"The run's {kind} is not what it was when it began.", where=str(self.folder), fix="Begin a new run."
            )

    def write(self, name: str, content: str) -> Path:
        with disk_errors(self.folder):
            write_atomically(self.folder / name, content)
        return self.folder / name

    def asked_to_stop(self) -> bool:
        return (self.folder / STOP).exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.ledger.close()
        self._lock.release()


def settings_of(folder: Path) -> Settings:
    """InputError when there is no research run in `folder`."""
    path = folder / "settings.json"
    if not path.exists():
        raise InputError(
            "This folder holds no research run.", where=str(folder), fix="Name one that `research run` made."
        )
    settings: Settings = _read(path, Settings)
    return settings


def best(trials: list[Trial], *, larger_is_better: bool) -> Trial | None:
    """The trial with the best development score; of equals the first."""
    scored = [trial for trial in trials if isinstance(trial.outcome.result, float)]
    sign = 1 if larger_is_better else -1
    return max(scored, key=lambda trial: sign * float(trial.outcome.result), default=None)  # type: ignore[arg-type]


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(
            f"A file of the research run is damaged: {error.errors()[0]['msg']}.",
            where=str(path),
            fix="Remove this file and run the same command again: it is made anew.",
        ) from None
