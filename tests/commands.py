"""`superalign` carried out in this process: one of its own takes seconds, most of them to import torch again."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from superalign.cli import main


def superalign(
    *arguments: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> CompletedProcess[str]:
    """What the command ends with and says, started in `folder` with only the variables of `environment`."""
    out, err = io.StringIO(), io.StringIO()
    ending = signal.getsignal(signal.SIGTERM)  # the command sets its own
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["superalign", *arguments])
        for name in set() if environment is None else os.environ.keys() - environment.keys():
            patch.delenv(name)
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        if folder:
            patch.chdir(folder)
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        finally:
            signal.signal(signal.SIGTERM, ending)
    assert isinstance(code, int)
    return CompletedProcess(["superalign", *arguments], code, out.getvalue(), err.getvalue())
