"""A run reuses what it has, shares it with other runs, and refuses what it could not tell apart."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from superalign.contracts.errors import InputError
from superalign.contracts.records import Cost
from superalign.runs import store as store_module
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run, verify_run
from superalign.runs.store import step_key


def test_a_run_leaves_what_the_design_says(job: ModuleType, open_run: Callable[..., Run], display: Any) -> None:
    run = open_run()
    done = job.do_job(run)
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}-job-[0-9a-f]{8}", run.folder.name)
    assert {path.name for path in run.folder.iterdir()} == {
        *(".lock", "ledger.db", "ledger.key", "manifest.json", "plan.yaml", "steps", "summary.json")
    }
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["format"] == 1 and manifest["seed"] == 0
    assert manifest["versions"]["python"] == sys.version.split()[0]
    assert verify_run(run.folder).entries == job.STEPS + 1
    result = json.loads((done.folder / "result.json").read_text())
    assert result["label"] == "total" and set(result["files"]) == {"means.txt"}
    assert set(result["arguments"]) == {"draws", "options"}
    assert (run.cost().tokens, run.cost().forward_passes) == (10 * job.STEPS, job.STEPS)
    assert display.advanced[:4] == [0.25, 0.5, 0.75, 1.0]
    assert display.finished == [(f"draw {seed}", False) for seed in range(job.STEPS)] + [("total", False)]


def test_a_second_run_reuses_everything(job: ModuleType, open_run: Callable[..., Run], display: Any) -> None:
    first_run = open_run()
    first, cost = job.do_job(first_run), first_run.cost()
    job.STARTED.clear()
    display.finished.clear()
    second_run = open_run()
    second = job.do_job(second_run)
    assert second == first and second_run.folder == first_run.folder
    assert second_run.cost() == cost  # the stored one, not that of looking it up
    assert job.STARTED == [] and all(reused for _, reused in display.finished)
    assert verify_run(second_run.folder).entries == job.STEPS + 1  # no duplicates


def test_the_newest_run_of_a_plan_is_reused_whatever_its_date(
    job: ModuleType, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = open_run()
    ending = run.folder.name[10:]
    run.close()
    run.folder.rename(tmp_path / f"2020-01-01{ending}")
    (tmp_path / f"2019-01-01{ending}").mkdir()
    (tmp_path / f"2021-01-01-other{ending}").mkdir()
    assert open_run().folder.name == f"2020-01-01{ending}"
    assert open_run(seed=1).folder.name[11:] != ending[1:]


def test_plans_share_steps_by_hard_links(job: ModuleType, open_run: Callable[..., Run], display: Any) -> None:
    first_run = open_run()
    first = job.do_job(first_run)
    job.STARTED.clear()
    other = open_run(name="other")
    second = job.do_job(other)
    assert job.STARTED == [] and all(reused for _, reused in display.finished[-7:])
    assert second.folder != first.folder and second.folder.parent == other.folder / "steps"
    assert (second.folder / "means.txt").samefile(first.folder / "means.txt")
    assert verify_run(other.folder).entries == job.STEPS + 1
    shutil.rmtree(first_run.folder)
    assert job.do_job(open_run(name="other")).value == first.value


def test_where_links_fail_files_are_copied(
    job: ModuleType, open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = job.do_job(open_run())
    job.STARTED.clear()

    def no_links(source: str, target: str) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(store_module.os, "link", no_links)
    second = job.do_job(open_run(name="other"))
    assert job.STARTED == [] and second.value == first.value
    assert not (second.folder / "means.txt").samefile(first.folder / "means.txt")


def test_a_damaged_step_of_a_sibling_is_not_taken(job: ModuleType, open_run: Callable[..., Run]) -> None:
    first = open_run().step("draw", job.draw, seed=1)
    (first.folder / "parts" / "0.bin").write_bytes(b"other")
    job.STARTED.clear()
    open_run(name="other").step("draw", job.draw, seed=1)
    assert job.STARTED == ["draw 1"]
    assert first.folder.is_dir()


def test_an_existing_run_opens_with_its_plan(job: ModuleType, open_run: Callable[..., Run], tmp_path: Path) -> None:
    run = open_run(seed=4)
    done = job.do_job(run)
    run.note_in_manifest("model_digest", "abc")
    run.close()
    job.STARTED.clear()
    with Run.existing(run.folder, display=NoDisplay()) as again:
        assert again.plan == run.plan
        assert again.manifest.notes == {"model_digest": "abc"}
        assert job.do_job(again).value == done.value
    assert job.STARTED == []
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="no run here"):
            Run.existing(folder, display=NoDisplay())


def test_a_root_that_is_a_file_is_an_input_error(job: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="this is a file"):
        Run.open(tmp_path / "file", job.make_plan(), display=NoDisplay())


def test_keys_tell_arguments_apart(job: ModuleType) -> None:
    def key(seed: Any) -> str:
        return step_key(job.draw, {"seed": seed})

    values = [1, 2, 1.5, "1", None, True, [1], {"a": 1}, Cost(tokens=1), Cost(tokens=2), Cost().model_dump(), [[1]]]
    assert len({key(value) for value in values}) == len(values)
    assert key((1, 2)) == key([1, 2])
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert step_key(job.draw, {"seed": 1}) != step_key(job.total, {"seed": 1})


def test_finished_steps_count_by_what_they_hold(job: ModuleType, open_run: Callable[..., Run]) -> None:
    run = open_run()
    one, two = run.step("one", job.draw, seed=1), run.step("two", job.draw, seed=2)
    keys = {step_key(job.total, {"draws": draws}) for draws in ([one], [two], [one, two], [two, one], {"a": one})}
    assert len(keys) == 5


@pytest.mark.parametrize("argument", [Path("x"), {1: 2}, object(), b"x", {1, 2}, [Path("x")], float("nan")])
def test_arguments_that_can_not_count_are_refused(job: ModuleType, open_run: Callable[..., Run], argument: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        open_run().step("draw", job.draw, seed=argument)


def test_what_is_no_step_function_is_refused(job: ModuleType, open_run: Callable[..., Run]) -> None:
    run = open_run()

    def nested(folder: Path) -> Cost:
        return Cost()

    for function in (nested, lambda folder: Cost(), Cost, job.declares_nothing, job.returns_something_else):
        with pytest.raises(TypeError):
            run.step("wrong", function)
    with pytest.raises(ValueError, match=r"result\.json"):
        run.step("wrong", job.writes_result_json)
    assert job.step_folders(run) == []


def test_a_changed_step_function_is_computed_again(
    job: ModuleType, open_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_run().step("draw", job.draw, seed=1)
    job.STARTED.clear()
    monkeypatch.setattr(store_module, "code_version", lambda module: "changed")
    open_run().step("draw", job.draw, seed=1)
    assert job.STARTED == ["draw 1"]
