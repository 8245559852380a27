"""A job of several steps, run by the tests in this process and in child processes that are killed.

`python job.py ROOT` runs it and prints the label of each step as its function starts.
"""

import errno
import os
import random
import sys
import time
from pathlib import Path

from superalign.contracts.records import Record
from superalign.runs.cost import count
from superalign.runs.plan import Plan
from superalign.runs.progress import NoDisplay, advance
from superalign.runs.run import Run
from superalign.runs.store import Done

SPECIFICATION = {
    "name": "truthful",
    "summary": "Answers truthfully.",
    "clauses": [
        {"id": "true", "text": "Say what is true.", "tested_by": [{"task": "cities", "require": "true-answer"}]}
    ],
}
STEPS = 6
PAUSE = float(os.environ.get("JOB_PAUSE", "0.005"))
STARTED: list[str] = []


class Numbers(Record):
    mean: float
    numbers: tuple[float, ...]


def make_plan(name: str = "job", seed: int = 0) -> Plan:
    return Plan.model_validate({"name": name, "seed": seed, "specification": SPECIFICATION})


def draw(folder: Path, seed: int) -> Numbers:
    """Writes several files, slowly enough to be killed in between."""
    STARTED.append(f"draw {seed}")
    print(f"draw {seed}", flush=True)
    generator = random.Random(seed)
    numbers = tuple(generator.random() for _ in range(50))
    for part in range(4):
        (folder / "parts").mkdir(exist_ok=True)
        (folder / "parts" / f"{part}.bin").write_bytes(generator.randbytes(20_000))
        time.sleep(PAUSE)
        advance(part + 1, 4)
    count(tokens=10, forward_passes=1)
    return Numbers(mean=sum(numbers) / len(numbers), numbers=numbers)


def total(folder: Path, draws: list[Done[Numbers]], options: dict[str, Done[Numbers]]) -> Numbers:
    """Reads the files of the steps that it is given."""
    STARTED.append("total")
    print("total", flush=True)
    sizes = [len((done.folder / "parts" / "3.bin").read_bytes()) for done in [*draws, *options.values()]]
    assert sizes == [20_000] * len(sizes)
    means = tuple(done.value.mean for done in draws)
    (folder / "means.txt").write_text(repr(means))
    return Numbers(mean=sum(means), numbers=means)


def fills_the_disk(folder: Path, megabytes: int) -> Numbers:
    """Writes until the disk is full."""
    (folder / "large.bin").write_bytes(b"x" * 1_000_000 * megabytes)
    return Numbers(mean=0, numbers=())


def meets_a_full_disk(folder: Path, how: str) -> Numbers:
    """Meets ENOSPC for real, from the one device that always answers so, or as a library reports it."""
    (folder / "partial.bin").write_bytes(b"x")
    if how == "device":
        with open("/dev/full", "wb", buffering=0) as device:
            device.write(b"x")
    if how == "words":
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
    if how == "wrapped":
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise RuntimeError("could not save") from error
    return Numbers(mean=0, numbers=())


def may_not_write(folder: Path) -> Numbers:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder / "weights"))


def fails(folder: Path) -> Numbers:
    (folder / "partial.bin").write_bytes(b"x")
    raise ArithmeticError("diverged")


def writes_result_json(folder: Path) -> Numbers:
    (folder / "result.json").write_text("{}")
    return Numbers(mean=0, numbers=())


def declares_nothing(folder: Path):  # type: ignore[no-untyped-def]
    return Numbers(mean=0, numbers=())


def returns_something_else(folder: Path) -> Numbers:
    return 3  # type: ignore[return-value]


def step_folders(run: Run) -> list[Path]:
    return sorted((run.folder / "steps").iterdir())


def do_job(run: Run) -> Done[Numbers]:
    draws = [run.step(f"draw {seed}", draw, seed=seed) for seed in range(STEPS)]
    last = run.step("total", total, draws=draws, options={"first": draws[0]})
    run.write("summary.json", last.value.model_dump_json())
    return last


if __name__ == "__main__":
    with Run.open(Path(sys.argv[1]), make_plan(), display=NoDisplay()) as run:
        do_job(run)
