"""Lowers the limits of its own process for good, then becomes the program: `launch.py ORDERS PROGRAM ARGUMENTS...`.

It runs inside of the sandbox, before any line that nobody vouches for. `ORDERS` is JSON that the parent wrote.
"""

import ctypes.util
import json
import os
import resource
import runpy
import select
import sys


def main() -> None:
    if not _heard():
        return
    orders = json.loads(sys.argv[1])
    for name, most in orders["limits"].items():
        resource.setrlimit(getattr(resource, name), (most, most))
    if orders["landlock"]:
        _apply_landlock(orders["readable"], orders["writable"])
    sys.argv = sys.argv[2:]
    sys.path[:0] = orders["path"]
    runpy.run_path(sys.argv[0], run_name="__main__")


def _heard() -> bool:
    """Whether the parent still reads. One that was killed while bubblewrap began could not end it any more."""
    pipe = select.poll()
    pipe.register(int(os.environ["ANSWER_FD"]), 0)
    return not pipe.poll(0)


def _apply_landlock(readable: list[str], writable: list[str]) -> None:
    """From here on, and for every thread to come: no other paths, no TCP, no signals to others."""
    # py_landlock looks for the C library by running the compiler or the linker, and there is neither.
    ctypes.util.find_library = lambda name: f"lib{name}.so.6"
    sys.path.insert(0, "/launch")
    from py_landlock import AccessFs, Landlock

    rules = Landlock(strict=False).allow_read(*readable).allow_execute("/python")
    rules.allow_read_write(*writable).add_path_rule("/dev", access=AccessFs.WRITE_FILE)
    rules.apply()
    del sys.path[0]


if __name__ == "__main__":
    main()
