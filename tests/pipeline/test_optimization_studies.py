"""Studies of what optimization does to a signal, in a run: each is in summary and report, and its errors come first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from superalign import pipeline
from superalign.contracts.errors import SuperalignError
from superalign.report.studies import parts
from superalign.runs.plan import Plan
from superalign.runs.run import Run

from .conftest import Recorder, carry_out

TRAINING = {"steps": 3, "batch": 4, "rank": 2}
STUDIES: dict[str, dict[str, Any]] = {
    "overoptimization": {"prompts": 4, "candidates": 6, "comparisons": [8], "members": 2, "seeds": 2, "steps": 2},
    "myopia": {"sizes": [3], "horizons": [1, 2], "train_groups": 8, "test_groups": 8, "updates": 10, "seeds": 2},
    "pressure": {
        "penalties": [0, 3],
        "steps": [2],
        "honest_groups": 20,
        "groups": 8,
        "test_groups": 20,
        "seeds": 2,
        "honest": TRAINING,
        "training": TRAINING | {"bundle": 2},
    },
}


def test_all_of_them_are_in_summary_and_report(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    done = carry_out(tmp_path, make_plan(until="generalize", studies=STUDIES))
    assert done.summary.studies
    page = (done.folder / "report.html").read_text()
    shown = parts(done.summary.studies)
    assert [part.key for part in shown] == list(STUDIES) and all(part.title in page for part in shown)


@pytest.mark.parametrize(
    ("study", "changed", "says"),
    [
        ("overoptimization", {"task": "cities"}, "are asked for"),
        ("overoptimization", {"task": "table-chian"}, "table-chain"),
        ("myopia", {"train_groups": 100_000}, "groups left"),
        ("pressure", {"family": "sycophant"}, "sycophancy"),
        ("pressure", {"family": "backdoor"}, "other things"),
    ],
)
def test_their_errors_come_before_anything_is_computed(
    make_plan: Callable[..., Plan], tmp_path: Path, study: str, changed: dict[str, Any], says: str
) -> None:
    plan, display = make_plan(until="generalize", studies={study: STUDIES[study] | changed}), Recorder()
    with Run.open(tmp_path, plan, display=display) as run, pytest.raises(SuperalignError, match=says):
        pipeline.run(run)
    assert not display.finished
