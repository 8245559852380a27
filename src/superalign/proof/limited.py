"""Becomes another command, with limits that it can't raise: `limited.py MEMORY PARENT COMMAND ...`.

Runs without the packages of the environment, so that it starts at once.
"""

import ctypes
import os
import resource
import signal
import sys

MOST_FILE_BYTES = 2**31
PR_SET_PDEATHSIG = 1

memory, parent, *command = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE_BYTES, MOST_FILE_BYTES))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before we could say so
        sys.exit(1)
os.execvp(command[0], command)
