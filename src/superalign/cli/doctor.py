"""`superalign doctor`: what this machine has, what is missing, and what to type."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer

from superalign.cli.options import AsJson
from superalign.cli.output import print_json, print_table

GIGABYTE = 1e9
TORCH_TESTED = "2.13.0"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `missing` makes the command fail; `absent` is something that only some need."""

    name: str
    state: Literal["ok", "warning", "missing", "absent"]
    found: str
    do: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Check Python, torch, the embedded model, disk, memory, sandbox, GPU and browser, and say what to type."""
    checks = list(_checks())
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_table([asdict(check) for check in checks], ("name", "state", "found", "do"))
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)


def _checks() -> Iterable[Check]:
    yield _python()
    yield _torch()
    yield _model()
    yield _disk()
    yield _memory()
    yield _sandbox()
    yield _gpu()
    yield _browser()


def _python() -> Check:
    return Check("python", "ok", sys.version.split()[0])  # an older one could not have come this far


def _torch() -> Check:
    install = f"pip install torch=={TORCH_TESTED}"
    try:
        import torch
    except (ImportError, OSError):
        return Check("torch", "missing", "not installed, or broken", install)
    version = torch.__version__.split("+")[0]
    if version != TORCH_TESTED:
        return Check("torch", "warning", f"{version}; tested with {TORCH_TESTED}", install)
    return Check("torch", "ok", str(torch.__version__))


def _model() -> Check:
    from superalign.models import fetch

    name = "smollm2-135m"
    match fetch.state(name, thorough=True):
        case "ready":
            return Check("model", "ok", f"{name}, hashes checked")
        case "absent":
            return Check("model", "missing", f"{name} is not in the cache", f"superalign models pull {name}")
        case "damaged":
            return Check("model", "missing", f"{name} is damaged", f"superalign models pull {name} --force")


def _disk() -> Check:
    from superalign.models.fetch import cache_root

    folders = {
        "runs": Path.cwd(),
        "cache": next(path for path in (cache_root(), *cache_root().parents) if path.exists()),
    }
    free = {use: shutil.disk_usage(folder).free / GIGABYTE for use, folder in folders.items()}
    found = ", ".join(f"{space:.0f} GB free for {use}" for use, space in free.items())
    if min(free.values()) < 2:
        return Check("disk", "warning", found, "Free 2 GB, or use --runs DIR and SUPERALIGN_CACHE.")
    return Check("disk", "ok", found)


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    found = f"{total:.0f} GB, {os.cpu_count()} processors"
    return (
        Check("memory", "warning", found, "The quickstart wants 6 GB.") if total < 6 else Check("memory", "ok", found)
    )


def _sandbox() -> Check:
    """Only code that nobody vouches for needs it; such code does not run without it."""
    from superalign.contracts.errors import SuperalignError
    from superalign.control.sandbox import Sandbox

    try:
        tier = Sandbox(packages=()).tier
    except SuperalignError as problem:
        return Check("sandbox", "absent", f"{problem.what} {problem.where or ''}".strip(), problem.fix or "")
    return Check("sandbox", "ok", str(tier))


def _gpu() -> Check:
    try:
        import torch
    except (ImportError, OSError):
        return Check("gpu", "absent", "unknown without torch")
    if torch.cuda.is_available():
        return Check("gpu", "ok", f"{torch.cuda.get_device_name()}: --device cuda")
    if torch.backends.mps.is_available():
        return Check("gpu", "ok", "--device mps")
    return Check("gpu", "absent", "none; the quickstart needs none")


def _browser() -> Check:
    tool = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if tool:
        return Check("browser", "ok", tool)
    return Check("browser", "absent", "only the report's tests use it", "apt install chromium")
