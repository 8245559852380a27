"""Two ways to the same result, timed against each other in one process."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from pydantic import Field
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from superalign.contracts.errors import InputError
from superalign.contracts.records import Record
from superalign.runs.code_version import installed_versions

T = TypeVar("T")


class Ratio(Record):
    """How many times as long the peer takes, over the pairs of neighbouring runs."""

    median: float
    min: float
    max: float


class Timing(Record):
    """One contestant, and the seconds of each of its repeats."""

    name: str
    seconds: tuple[float, ...]
    median: float


class Equality(Record):
    """Whether both came to the same result: `measured`, described by `what`, against the `bound` set before."""

    passed: bool
    measured: float
    bound: float
    what: str


class Machine(Record):
    """Where it was timed."""

    platform: str
    processor: str
    cpus: int
    threads: int = Field(description="That each contestant was allowed.")
    accelerator: str | None
    versions: dict[str, str | None]


class Benchmark(Record):
    """What `superalign bench NAME --json` prints. `goal` is the ratio aimed at."""

    name: str
    goal: float
    ratio: Ratio
    ours: Timing
    peer: Timing
    equal: Equality
    machine: Machine
    notes: tuple[str, ...] = Field((), description="What the work is, and what else one must know to judge the ratio.")

    @property
    def met(self) -> bool:
        return self.ratio.median >= self.goal


def compare(
    name: str,
    goal: float,
    ours: Callable[[], T],
    peer: Callable[[], T],
    equal: Callable[[T, T], Equality],
    *,
    repeats: int = 5,
    notes: tuple[str, ...] = (),
    ours_name: str = "superalign",
    peer_name: str = "peer",
    threads: int | None = None,
) -> Benchmark:
    """Run `ours` and `peer` in turn, `repeats` times after a warm-up of each, with the same number of threads.

    Each must return only when its work is done, on an accelerator too. `threads` defaults to torch's. Results are
    compared in every repeat, and the first that differ count.
    """
    ours_seconds, peer_seconds, checks = [], [], []
    before = torch.get_num_threads()
    threads = threads or before
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            for repeat in range(repeats + 1):
                our_time, our_result = _timed(ours)
                peer_time, peer_result = _timed(peer)
                if repeat:
                    ours_seconds.append(our_time)
                    peer_seconds.append(peer_time)
                checks.append(equal(our_result, peer_result))
    finally:
        torch.set_num_threads(before)
    ratios = [theirs / own for own, theirs in zip(ours_seconds, peer_seconds, strict=True)]
    return Benchmark(
        name=name,
        goal=goal,
        ratio=Ratio(median=median(ratios), min=min(ratios), max=max(ratios)),
        ours=Timing(name=ours_name, seconds=tuple(ours_seconds), median=median(ours_seconds)),
        peer=Timing(name=peer_name, seconds=tuple(peer_seconds), median=median(peer_seconds)),
        equal=next((check for check in checks if not check.passed), checks[-1]),
        machine=_machine(threads),
        notes=notes,
    )


def peer_package(name: str) -> Any:
    """The module `name`, which only benchmarks need. InputError with what to install when it is missing."""
    try:
        return import_module(name)
    except ImportError:
        raise InputError(
            f"This bench compares with {name}, which is not installed.", fix="pip install 'superalign[bench]'"
        ) from None


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _machine(threads: int) -> Machine:
    return Machine(
        platform=platform.platform(),
        processor=_processor(),
        cpus=os.cpu_count() or 1,
        threads=threads,
        accelerator=_accelerator(),
        versions={"python": platform.python_version(), **installed_versions()},
    )


def _processor() -> str:
    """The model's name; Python itself tells only the architecture on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _accelerator() -> str | None:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if torch.backends.mps.is_available() else None
