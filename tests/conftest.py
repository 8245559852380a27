"""One thread per test process: tiny models gain nothing from more, and pytest's processes fill the cores."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore interrupts, and those that are interrupted would hang.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
