"""Peers that need other versions than superalign does: each runs in a process and an environment of its own.

A worker is a script beside this file. It is given a folder and the number of threads, says `ready`, and answers each
task, a line of JSON on stdin, by a line of JSON on stdout.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import torch

from superalign.contracts.errors import InputError, RunError
from superalign.models.fetch import cache_root


def peer_python(name: str, folder: str, needs: str) -> Path:
    """The Python of a peer's environment. InputError, which says how to make it, when there is none."""
    made = cache_root() / "peers" / folder
    python = made / "bin" / "python"
    if not python.is_file():
        packages = f"torch=={torch.__version__.partition('+')[0]} {needs}"
        raise InputError(
            f"{name} needs an environment of its own, with an older transformers.",
            where=str(made),
            fix=f"python -m venv {made} && {python} -m pip install {packages}",
        )
    return python


@contextmanager
def working(name: str, python: Path, script: str, folder: Path) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """A worker that is ready, and how to give it a task. RunError when it ends."""
    command = [str(python), str(Path(__file__).with_name(script)), str(folder), str(torch.get_num_threads())]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            _answered(name, process)

            def work(task: dict[str, Any]) -> dict[str, Any]:
                print(json.dumps(task), file=process.stdin, flush=True)
                found: dict[str, Any] = json.loads(_answered(name, process))
                return found

            yield work
        finally:
            process.kill()


def _answered(name: str, process: subprocess.Popen[str]) -> str:
    """The next line that the worker writes."""
    assert process.stdout and process.stderr
    line = process.stdout.readline()
    if not line:
        raise RunError(f"{name} failed: " + "".join(process.stderr.readlines()[-5:]), fix="Mend its environment.")
    return line
