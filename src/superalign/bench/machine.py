"""The machine that a bench runs on: what it is, and waiting until it is done."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from superalign.bench.records import Machine
from superalign.runs.code_version import installed_versions


def synchronize(device: str) -> None:
    """Return when all work given to `device` is done: an accelerator takes work in before it does it."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def describe(device: str, threads: int, packages: Iterable[str] = ()) -> Machine:
    """This machine, and the versions of `packages` beside those that everything hangs on."""
    return Machine(
        platform=platform.platform(),
        processor=_processor(),
        cpus=os.cpu_count() or 1,
        threads=threads,
        accelerator=_accelerator(device),
        versions={
            "python": platform.python_version(),
            **installed_versions(),
            **{package: installed(package) for package in packages},
        },
    )


def installed(package: str) -> str | None:
    """The version of `package`, or None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The model's name; Python itself tells only the architecture on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _accelerator(device: str) -> str | None:
    kind = torch.device(device).type
    if kind == "cpu":
        return None
    return torch.cuda.get_device_name(device) if kind == "cuda" else kind
