"""One thread per test process: tiny models gain nothing from more, and pytest's processes fill the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
