"""Runs a plan in child processes that are killed at given moments, then in one that is left alone.

`python job.py ROOT PLAN MOMENT...`: each moment, such as 7+12, is the number of steps that a child may begin, and how
many thousandths of a second it then lives on. Children are forked, so that only this process pays for the imports.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import torch

from superalign import pipeline
from superalign.models.handle import identify
from superalign.runs.plan import load_plan
from superalign.runs.progress import NoDisplay
from superalign.runs.run import Run


class Reporter(NoDisplay):
    """Tells the parent process of each step that begins."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def start(self, label: str) -> None:
        os.write(self._pipe, b".")


def attempt(root: Path, plan: Path, steps: int | None, milliseconds: int) -> int:
    """Carry out the plan in a child; kill it after the beginning of `steps` steps and then some. Its wait status."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with Run.open(root, load_plan(plan), display=Reporter(writing)) as run:
                pipeline.run(run)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    os.close(writing)
    if steps is not None:
        begun = 0
        while begun < steps and (told := os.read(reading, steps - begun)):
            begun += len(told)
        time.sleep(milliseconds / 1000)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(reading)
    return status


if __name__ == "__main__":
    torch.set_num_threads(1)
    _, runs, wanted, *moments = sys.argv
    identify(load_plan(Path(wanted)).model)  # imports what else is needed to run a model
    for moment in moments:
        before, after = moment.split("+")
        status = attempt(Path(runs), Path(wanted), int(before), int(after))
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"not killed at {moment}: {status}"
    sys.exit(os.waitstatus_to_exitcode(attempt(Path(runs), Path(wanted), None, 0)))
