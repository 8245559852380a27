"""A run survives what happens to processes and disks, and tells what it found damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from superalign.contracts.errors import LedgerError, RunError
from superalign.provenance.digest import folder_digest
from superalign.provenance.ledger import verify
from superalign.runs.disk import disk_errors, write_atomically
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run, verify_run

JOB = Path(__file__).parent / "job.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def change_file(folder: Path) -> None:
    content = bytearray((folder / "parts" / "2.bin").read_bytes())
    content[10_000] ^= 1
    (folder / "parts" / "2.bin").write_bytes(content)


def change_value(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    result["value"]["mean"] = 0.99
    (folder / "result.json").write_text(json.dumps(result))


def truncate_result(folder: Path) -> None:
    os.truncate(folder / "result.json", 100)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "changed file": change_file,
    "deleted file": lambda folder: (folder / "parts" / "2.bin").unlink(),
    "truncated file": lambda folder: os.truncate(folder / "parts" / "2.bin", 5),
    "extra file": lambda folder: (folder / "extra").write_text("x"),
    "changed value": change_value,
    "truncated result": truncate_result,
    "empty result": lambda folder: (folder / "result.json").write_bytes(b""),
    "binary result": lambda folder: (folder / "result.json").write_bytes(b"\x80\xff"),
    "missing result": lambda folder: (folder / "result.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_step_is_kept_aside_reported_and_computed_again(
    job: ModuleType, open_run: Callable[..., Run], display: Any, damage: str
) -> None:
    first = open_run().step("draw", job.draw, seed=1)
    DAMAGES[damage](first.folder)
    job.STARTED.clear()
    run = open_run()
    second = run.step("draw", job.draw, seed=1)
    assert second.value == first.value and second.digest == first.digest
    assert job.STARTED == ["draw 1"]
    assert [path.name for path in job.step_folders(run)] == [f".damaged-{first.key}-1", first.key]
    assert len(display.warnings) == 1 and "'draw' was damaged" in display.warnings[0]
    assert [entry.kind for entry in run.ledger.entries()] == ["step", "damaged"]
    verify_run(run.folder)


def test_a_step_in_the_place_of_another_is_damaged(job: ModuleType, open_run: Callable[..., Run]) -> None:
    run = open_run()
    one, two = run.step("one", job.draw, seed=1), run.step("two", job.draw, seed=2)
    shutil.rmtree(two.folder)
    shutil.copytree(one.folder, two.folder)
    assert open_run().step("two", job.draw, seed=2).value == two.value


def test_killed_at_random_moments_the_job_ends_the_same(job: ModuleType, tmp_path: Path) -> None:
    """Eight lives, each cut short a little later than the last; what is on disk in between is whole or nothing."""
    unkilled, killed = tmp_path / "unkilled", tmp_path / "killed"
    subprocess.run([sys.executable, JOB, unkilled], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    slow = {**ENVIRONMENT, "JOB_PAUSE": "0.05"}
    lives = 0
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25):
        child = subprocess.Popen([sys.executable, JOB, killed], env=slow, stdout=subprocess.PIPE)
        assert child.stdout
        child.stdout.readline()  # some step has started
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.stdout.close()
        lives += child.wait() == -signal.SIGKILL
        (folder,) = killed.iterdir()
        verify_run(folder)
        for step in (folder / "steps").glob("[!.]*"):
            assert json.loads((step / "result.json").read_bytes())["key"] == step.name
    assert lives  # the first at least, however fast or slow this machine is
    subprocess.run([sys.executable, JOB, killed], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    (one,), (two,) = unkilled.iterdir(), killed.iterdir()
    assert (one / "summary.json").read_bytes() == (two / "summary.json").read_bytes()
    assert [step.name for step in sorted((one / "steps").iterdir())] == [
        step.name for step in sorted((two / "steps").iterdir())
    ]
    for step in (one / "steps").iterdir():
        ours = [json.loads((run / "steps" / step.name / "result.json").read_bytes())["files"] for run in (one, two)]
        assert ours[0] == ours[1]
    assert verify_run(two).entries == job.STEPS + 1


def test_killed_before_the_first_step_the_run_starts_anew(job: ModuleType, tmp_path: Path) -> None:
    for _ in range(5):
        child = subprocess.Popen([sys.executable, JOB, tmp_path], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        while not list(tmp_path.glob("*/.lock")) and child.poll() is None:
            time.sleep(0.001)
        child.kill()
        child.wait()
    with Run.open(tmp_path, job.make_plan(), display=NoDisplay()) as run:
        job.do_job(run)
        assert verify_run(run.folder).entries == job.STEPS + 1


def test_leftovers_of_dead_processes_are_removed(job: ModuleType, open_run: Callable[..., Run]) -> None:
    leftover = open_run().folder / "steps" / ".partial-abc-1"
    leftover.mkdir()
    (leftover / "large.bin").write_bytes(b"x")
    assert job.step_folders(open_run()) == []


def test_a_failed_step_leaves_nothing_and_its_error_passes_through(
    job: ModuleType, open_run: Callable[..., Run]
) -> None:
    run = open_run()
    with pytest.raises(ArithmeticError, match="diverged"):
        run.step("fails", job.fails)
    assert job.step_folders(run) == []
    assert len(run.ledger) == 0


@pytest.mark.parametrize("how", ["device", "words", "wrapped"])
def test_a_full_disk_says_so_and_keeps_earlier_steps(job: ModuleType, open_run: Callable[..., Run], how: str) -> None:
    run = open_run()
    run.step("draw", job.draw, seed=1)
    with pytest.raises(RunError, match=r"disk ran full; [\d.,]+ MB are free.*Free some space") as caught:
        run.step("full", job.meets_a_full_disk, how=how)
    assert caught.value.where
    assert len(job.step_folders(run)) == 1
    job.STARTED.clear()
    open_run().step("draw", job.draw, seed=1)
    assert job.STARTED == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB, or one that only claims to be full where mounting is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted here; the tests with /dev/full cover the rest")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_on_a_disk_that_is_really_full_nothing_is_lost(job: ModuleType, small_disk: Path) -> None:
    with Run.open(small_disk, job.make_plan(), display=NoDisplay()) as run:
        first = run.step("draw", job.draw, seed=1)
        before = folder_digest(first.folder)
        with pytest.raises(RunError, match="disk ran full"):
            run.step("large", job.fills_the_disk, megabytes=3)
        # Now to the last byte, so that the store, the ledger and the summary themselves can't write.
        with (small_disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space"):
            while True:
                ballast.write(b"x" * 4096)
        with pytest.raises(RunError, match="disk ran full"):
            run.step("draw", job.draw, seed=2)
        with pytest.raises(RunError, match="disk ran full"):
            run.write("summary.json", "x" * 100_000)
        assert not (run.folder / "summary.json").exists()
    with pytest.raises(RunError, match="disk ran full"):
        Run.open(small_disk, job.make_plan(seed=1), display=NoDisplay())
    (small_disk / "ballast").unlink()
    with Run.open(small_disk, job.make_plan(), display=NoDisplay()) as run:
        assert folder_digest(run.step("draw", job.draw, seed=1).folder) == before
        run.step("draw", job.draw, seed=2)
        assert verify_run(run.folder).entries == 2


def test_missing_permission_is_named(job: ModuleType, open_run: Callable[..., Run]) -> None:
    with pytest.raises(RunError, match=r"No permission.*weights"):
        open_run().step("forbidden", job.may_not_write)


def test_other_errors_are_not_taken_for_the_disk(tmp_path: Path) -> None:
    for error in (FileNotFoundError("x"), ValueError("full of air"), LedgerError("x")):
        with pytest.raises(type(error)), disk_errors(tmp_path):
            raise error


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "summary.json", "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "summary.json", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"summary.json": "old"}


def test_two_processes_never_work_in_one_run(job: ModuleType, tmp_path: Path) -> None:
    forever = {**ENVIRONMENT, "JOB_PAUSE": "1000"}
    child = subprocess.Popen([sys.executable, JOB, tmp_path], env=forever, stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    try:
        with pytest.raises(RunError, match=f"pid {child.pid}"):
            Run.open(tmp_path, job.make_plan(), display=NoDisplay())
        (folder,) = tmp_path.iterdir()
        verify_run(folder)  # looking is allowed
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    Run.open(tmp_path, job.make_plan(), display=NoDisplay()).close()


def test_within_one_process_the_lock_holds_too(job: ModuleType, tmp_path: Path, open_run: Callable[..., Run]) -> None:
    run = open_run()
    with pytest.raises(RunError, match=f"pid {os.getpid()}"):
        Run.existing(run.folder, display=NoDisplay())
    run.close()
    Run.existing(run.folder, display=NoDisplay()).close()


def test_a_run_of_a_newer_format_is_refused_untouched(
    job: ModuleType, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = open_run()
    run.close()
    manifest = {**json.loads((run.folder / "manifest.json").read_text()), "format": 2, "unheard": "of"}
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    before = folder_digest(run.folder)
    for opening in (open_run, lambda: Run.existing(run.folder, display=NoDisplay()), lambda: verify_run(run.folder)):
        with pytest.raises(RunError, match=r"newer superalign.*Upgrade"):
            opening()
    assert folder_digest(run.folder) == before


def test_a_damaged_manifest_is_an_error(open_run: Callable[..., Run]) -> None:
    run = open_run()
    for content in (b"", b"[]", b"{}", b"\xff"):
        (run.folder / "manifest.json").write_bytes(content)
        with pytest.raises(RunError, match="manifest is damaged"):
            open_run()
    (run.folder / "manifest.json").unlink()
    open_run()


def test_a_ledger_that_was_removed_or_replaced_is_noticed(
    job: ModuleType, open_run: Callable[..., Run], tmp_path: Path
) -> None:
    run, other = open_run(), open_run(name="other")
    run_ledger, other_ledger = run.folder / "ledger.db", other.folder / "ledger.db"
    other.close()
    for name in ("ledger.db", "ledger.key"):
        shutil.copy(other.folder / name, run.folder / name)
    assert verify(run_ledger) == verify(other_ledger)
    with pytest.raises(LedgerError, match="another key"):
        verify_run(run.folder)
    with pytest.raises(LedgerError, match="another was put in its place"):
        open_run()
    run_ledger.unlink()
    with pytest.raises(LedgerError, match="no ledger"):
        verify_run(run.folder)
    with pytest.raises(LedgerError, match="gone"):
        open_run()
