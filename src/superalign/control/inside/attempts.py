"""Tries to get out: `attempts.py ORDERS`. It answers, for each attempt, what it could reach; nothing is what it should.

It runs inside of the sandbox, as the program that a self-test confines.
"""

import json
import mmap
import os
import resource
import socket
import sys
import threading
from pathlib import Path


def main() -> None:
    orders = json.loads(sys.argv[1])
    reached = {
        "open a socket": sockets(),
        "read a file outside": [path for path in orders["outside"] if opens(path)],
        "write outside of /scratch": [path for path in orders["elsewhere"] if opens(f"{path}/attempt", "wb")],
        "read the parent's environment": environments(orders["parent"]),
        "see or signal other processes": processes(),
        "find handles left open": handles(),
        "start a second process": second_process(),
        "start threads past the limit": threads(orders["threads"]),
        "take memory past the limit": memory(orders["memory_bytes"]),
        "fill the disk": disk(orders["disk_bytes"]),
        "raise a limit": raised(),
    }
    if orders["landlock"]:
        reached["pass Landlock"] = [path for path in ("/", "/etc/..") if lists(path)]
    with os.fdopen(int(os.environ["ANSWER_FD"]), "w") as answer:
        json.dump(reached, answer)


def opens(path: str, mode: str = "rb") -> bool:
    try:
        Path(path).open(mode).close()
    except OSError:
        return False
    return True


def lists(path: str) -> bool:
    try:
        return bool(os.listdir(path))
    except OSError:
        return False


def sockets() -> list[str]:
    reached = []
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            reached.append(f"{family.name} {kind.name}")
    return reached


def environments(parent: int) -> list[str]:
    files = [f"/proc/{process}/environ" for process in {1, os.getppid(), parent}]
    unexpected = sorted(set(os.environ) - set(json.loads(sys.argv[1])["environment"]))
    return [path for path in files if opens(path)] + [f"the variable {name}" for name in unexpected]


def processes() -> list[str]:
    """In a process namespace of its own there is the first process, and this one."""
    reached = []
    for process in range(2, 70_000):
        if process == os.getpid():
            continue
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            continue
        except PermissionError:
            pass
        reached.append(f"process {process}")
        if len(reached) == 3:
            break
    return reached


def handles() -> list[str]:
    expected = {0, 1, 2, int(os.environ["ANSWER_FD"])}
    reached = []
    for handle in set(range(1024)) - expected:
        try:
            os.fstat(handle)
        except OSError:
            continue
        reached.append(f"handle {handle}")
    return reached


def second_process() -> list[str]:
    try:
        process = os.fork()
    except OSError:
        return []
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    return ["a second process"]


def threads(most: int) -> list[str]:
    release = threading.Event()
    threading.stack_size(2**16)
    started = []
    try:
        for _ in range(most + 4):
            thread = threading.Thread(target=release.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        pass
    release.set()
    for thread in started:
        thread.join()
    return [f"{len(started) + 1} threads"] if len(started) + 1 > most else []


def memory(most: int) -> list[str]:
    try:
        mmap.mmap(-1, most).close()
    except (OSError, MemoryError):
        return []
    return [f"{most} bytes"]


def disk(most: int) -> list[str]:
    """Two files, since each may be as large as the whole. Other folders that can be written are another attempt's."""
    written, block = 0, bytes(2**16)
    for name in ("one", "two"):
        try:
            with open(f"/scratch/{name}", "wb", buffering=0) as file:
                while written <= most:
                    written += file.write(block) or 0
        except OSError:
            pass
    return [f"{written} bytes"] if written > most else []


def raised() -> list[str]:
    reached = []
    for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC"):
        try:
            resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except (ValueError, OSError):
            continue
        reached.append(name)
    return reached


if __name__ == "__main__":
    main()
