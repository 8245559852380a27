"""A process that computes cells, one after another: `python -m superalign.runs.worker`.

It reads a `Task` a line from stdin and writes a `Reply` a line to stdout, puts results into the store of the run, and
ends when its stdin closes, whatever it is at.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import traceback
from queue import SimpleQueue
from typing import TextIO

from superalign.runs.cells import Reply, Task, fault_of, restored
from superalign.runs.disk import disk_errors
from superalign.runs.store import StepStore

SECONDS_OF_GRACE = 5.0  # after a time limit, before a worker that nobody has ended ends itself


def main() -> None:
    """Compute what comes, until nothing can come any more."""
    faulthandler.enable()  # what brings the process down shows in the log
    replies, tasks = taken_pipes()
    say(replies, Reply(kind="ready"))
    while True:
        say(replies, computed(Task.model_validate_json(tasks.get()), replies))


def computed(task: Task, replies: TextIO) -> Reply:
    """How it went. The clock of the cell's time limit starts once its code is imported."""
    try:
        function, arguments = restored(task)
        say(replies, Reply(kind="started"))
        # Code that hangs without letting go of the interpreter keeps the thread that reads stdin from running.
        faulthandler.dump_traceback_later(task.time_limit + SECONDS_OF_GRACE, exit=True)
        with disk_errors(task.folder):
            StepStore(task.folder).compute(task.key, task.label, function, arguments)
    except Exception as error:
        return Reply(kind="fault", fault=fault_of(error, traceback.format_exc()))
    finally:
        faulthandler.cancel_dump_traceback_later()
    return Reply(kind="done")


def taken_pipes() -> tuple[TextIO, SimpleQueue[bytes]]:
    """Where replies go and tasks come from. Both pipes are put out of the reach of the code that cells run: what that
    prints goes to the log, and it finds nothing to read.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    source = os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    tasks: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in source:
            tasks.put(line)
        os.killpg(0, signal.SIGKILL)  # with all that the cell's code has started

    threading.Thread(target=read, daemon=True).start()
    return replies, tasks


def say(replies: TextIO, reply: Reply) -> None:
    replies.write(reply.model_dump_json() + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
