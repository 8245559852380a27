"""Killed at any moment and started again, a run ends as if nothing had been."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from superalign.provenance.ledger import Ledger
from superalign.runs.run import verify_run

from .conftest import Finished, write_plan

JOB = Path(__file__).with_name("job.py")
KILLS = 4
VERDICTS = 8  # the last steps of the run


def without_seconds(value: Any) -> Any:
    """The same, without what was measured by the clock."""
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


def test_killed_again_and_again_it_ends_the_same(complete: Finished, tmp_path: Path) -> None:
    rng = random.Random(0)
    steps = len(complete.labels)
    # Some anywhere before the trial is sealed, one while it is judged.
    ends = [*sorted(rng.sample(range(1, steps - VERDICTS), KILLS - 1)), steps - VERDICTS // 2]
    moments = [f"{end - start}+{rng.randrange(20)}" for start, end in pairwise([0, *ends])]
    done = subprocess.run(
        [sys.executable, str(JOB), str(tmp_path / "runs"), str(write_plan(tmp_path, complete.plan)), *moments],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.split("-", 3)[3] == complete.folder.name.split("-", 3)[3]
    killed, whole = (json.loads((run / "summary.json").read_text()) for run in (folder, complete.folder))
    assert without_seconds(killed) == without_seconds(whole)
    assert not list((folder / "steps").glob(".*"))

    assert verify_run(folder)
    with Ledger(folder / "ledger.db") as ledger, Ledger(complete.folder / "ledger.db") as unkilled:
        kinds = [entry.kind for entry in ledger.entries()]
        labels = [[entry.body["label"] for entry in each.entries("step")] for each in (ledger, unkilled)]
    assert Counter(labels[0]) == Counter(labels[1])
    assert kinds.count("seal") == kinds.count("unseal") == 1
    verdicts = [i for i, label in enumerate(labels[0]) if " on subject-" in label]
    assert len([kind for kind in kinds[: kinds.index("seal")] if kind == "step"]) <= min(verdicts)
