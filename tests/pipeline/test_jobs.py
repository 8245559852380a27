"""The whole job with verdicts from two workers: what one process finds, to the bit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from superalign import pipeline
from superalign.contracts.records import Record
from superalign.provenance.ledger import Ledger
from superalign.runs.launch import Launch
from superalign.runs.run import Run, verify_run

from .conftest import Finished, Recorder
from .test_killed import without_seconds


def test_two_workers_find_what_one_process_does(complete: Finished, tmp_path: Path) -> None:
    display = Recorder()
    with Run.open(tmp_path / "runs", complete.plan, display=display, launch=Launch(jobs=2)) as run:
        found: Record = pipeline.run(run)
    assert verify_run(run.folder)
    workers, alone = (without_seconds(json.loads(each.model_dump_json())) for each in (found, complete.summary))
    assert workers == alone
    labels = []
    for folder in (run.folder, complete.folder):
        with Ledger(folder / "ledger.db") as ledger:
            labels.append(Counter((entry.body["label"], entry.body["key"]) for entry in ledger.entries("step")))
            kinds = [entry.kind for entry in ledger.entries()]
    assert labels[0] == labels[1]
    assert kinds.count("seal") == kinds.count("unseal") == 1
