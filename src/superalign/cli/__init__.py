"""The command line. Every verb is a thin file; this one turns whatever happens into an exit code and a sentence."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
import traceback
from types import FrameType
from typing import NoReturn

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main() -> NoReturn:
    """Run the command in `sys.argv` and exit: 0 done, 1 failed, 2 bad input, 3 not "proceed", 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _complain("Interrupted. Run the same command again to continue.", INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has gone; say nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    sys.exit(code)


def _run() -> int:
    import typer

    from superalign.cli.app import app
    from superalign.contracts.errors import SuperalignError

    try:
        code = app(prog_name="superalign", standalone_mode=False) or 0
        if code == INTERRUPTED:  # typer has caught it
            raise KeyboardInterrupt
        return code
    except SuperalignError as error:
        if os.environ.get("SUPERALIGN_DEBUG"):
            traceback.print_exc()
        return _complain(str(error), error.exit_code)
    except typer.TyperException as error:  # an unknown command or option, a value of the wrong type
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "superalign"
        message = error.format_message().replace("Value error, ", "")
        message += "" if message.endswith((".", "?", ")")) else "."
        return _complain(f"{message} See: {command} --help", MISUSED) if message != "." else MISUSED
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _complain("The disk is full. Free some space and run the same command again to continue.", FAILED)
        return _complain(f"Something unexpected went wrong: {type(error).__name__}. {_keep_traceback()}", FAILED)


def _keep_traceback() -> str:
    if os.environ.get("SUPERALIGN_DEBUG"):
        traceback.print_exc()
        return "This is an error in superalign; please report it with the traceback above."
    with tempfile.NamedTemporaryFile("w", prefix="superalign-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    return (
        f"This is an error in superalign; please report it with {file.name}, or see the traceback with"
        " SUPERALIGN_DEBUG=1. What was finished is kept."
    )


def _complain(message: str, code: int) -> int:
    import textwrap

    paragraph = textwrap.fill(" ".join(message.split()), 80, break_long_words=False, break_on_hyphens=False)
    print(f"\n{paragraph}" if sys.stderr.isatty() else paragraph, file=sys.stderr)
    return code


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
