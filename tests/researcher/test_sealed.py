"""The sealed evaluation tells little, limits queries, opens the final samples once, and survives being killed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from superalign.contracts.errors import RunError, SealError
from superalign.contracts.records import Unscored
from superalign.contracts.research import Expression, Program
from superalign.control.sandbox import Sandbox
from superalign.researcher.evaluator import answered
from superalign.researcher.problems.location import Location
from superalign.researcher.sealed import SealedEvaluator, beats_chance

MEAN, MEDIAN = (Expression(part="report", inputs=(Expression(part=name),)) for name in ("mean", "median"))


def evaluator(tmp_path: Path, sandbox: Sandbox, queries: int = 6) -> SealedEvaluator:
    found = SealedEvaluator(Location(samples=8), tmp_path / "sealed", sandbox, seed=1, queries=queries)
    found.prepare(tmp_path)
    return found


FAR = Expression(part="report", inputs=(Expression(part="middle_of_extremes", parameters={"share": 0.0}),))


def test_a_query_tells_the_best_in_steps_and_moves_only_by_a_step(tmp_path: Path, sandbox: Sandbox) -> None:
    found = evaluator(tmp_path, sandbox)
    first = found.query("me", MEDIAN)
    assert first.moved and first.best is not None
    assert first.best / 0.05 == pytest.approx(round(first.best / 0.05))  # of the score itself no digit more
    worse = found.query("me", FAR)
    assert not worse.moved and worse.best == first.best  # how much worse, it does not tell
    assert worse.queries_left == 4


def test_asking_again_costs_nothing_and_tells_nothing_new(tmp_path: Path, sandbox: Sandbox) -> None:
    found = evaluator(tmp_path, sandbox, queries=1)
    first = found.query("me", MEDIAN)
    assert found.query("me", MEDIAN) == first
    with pytest.raises(SealError, match="spent"):
        found.query("me", MEAN)
    again = SealedEvaluator(found.problem, found.folder, sandbox, seed=1, queries=1)
    assert again.query("me", MEDIAN) == first
    with pytest.raises(SealError, match="spent"):
        again.query("me", MEAN)


def test_a_query_that_was_cut_off_counts_and_can_be_finished(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluator(tmp_path, sandbox, queries=1)
    with monkeypatch.context() as patch:
        patch.setattr(found, "_attempt", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            found.query("me", MEDIAN)
    again = SealedEvaluator(found.problem, found.folder, sandbox, seed=1, queries=1)
    with pytest.raises(SealError, match="spent"):
        again.query("me", MEAN)
    assert again.query("me", MEDIAN).moved


def test_final_samples_are_opened_once_by_a_run_and_every_opening_counts(tmp_path: Path, sandbox: Sandbox) -> None:
    found = evaluator(tmp_path, sandbox)
    first = found.final("a run", {"found": MEDIAN, "baseline": MEAN})
    assert first.times_opened == 1
    assert found.final("a run", {"found": MEDIAN, "baseline": MEAN}) == first
    with pytest.raises(SealError, match="opened once"):
        found.final("a run", {"found": MEAN, "baseline": MEAN})
    assert found.final("another run", {"found": MEDIAN, "baseline": MEAN}).times_opened == 2
    assert beats_chance(first, "found", larger_is_better=False)


def test_what_answers_without_looking_does_not_beat_chance(tmp_path: Path, sandbox: Sandbox) -> None:
    blind = Program(source="def solve(given):\n    return {'location': 3.0}")
    final = evaluator(tmp_path, sandbox).final("a run", {"found": blind})
    assert not beats_chance(final, "found", larger_is_better=False)


def test_a_failed_solution_is_unscored_and_never_beats_chance(tmp_path: Path, sandbox: Sandbox) -> None:
    broken = Program(source="def solve(given):\n    raise SystemExit")
    final = evaluator(tmp_path, sandbox).final("a run", {"found": broken})
    assert all(isinstance(score, Unscored) for score in final.scores["found"])
    assert not beats_chance(final, "found", larger_is_better=False)


def test_whoever_knows_the_samples_mark_is_caught(tmp_path: Path, sandbox: Sandbox) -> None:
    found = evaluator(tmp_path, sandbox)
    mark = re.search(r"-([0-9a-f]{16})\.given", next((found.folder / "sealed").glob("*.given.*")).name)
    assert mark
    with pytest.raises(SealError, match="mark"):
        found.query("me", Program(source=f"# {mark[1]}\ndef solve(given):\n    return {{}}"))


def test_only_its_own_user_can_enter_the_folder(tmp_path: Path, sandbox: Sandbox) -> None:
    assert evaluator(tmp_path, sandbox).folder.stat().st_mode & 0o077 == 0


def test_a_damaged_state_is_refused_not_forgotten(tmp_path: Path, sandbox: Sandbox) -> None:
    found = evaluator(tmp_path, sandbox)
    (found.folder / "state.json").write_text('{"canary": "')
    with pytest.raises(RunError, match="damaged"):
        SealedEvaluator(found.problem, found.folder, sandbox, seed=1)


def test_the_process_answers_requests_and_refuses_in_words(tmp_path: Path, sandbox: Sandbox) -> None:
    found = evaluator(tmp_path, sandbox, queries=0)
    said = answered(found, b'{"kind": "prepare"}', tmp_path)
    assert set(said.model_dump()["digests"]) == {"sealed", "final"}
    query = f'{{"kind": "query", "asker": "me", "solution": {MEDIAN.model_dump_json()}}}'
    refused = answered(found, query.encode(), tmp_path).model_dump()
    assert refused["kind"] == "seal" and "spent" in refused["what"]
