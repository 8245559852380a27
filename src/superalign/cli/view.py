"""`superalign view`: runs and the review queue in a browser."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.output import say
from superalign.contracts.errors import InputError
from superalign.web.listening import is_loopback, listen

if TYPE_CHECKING:
    import socket

    from superalign.contracts.review import ReviewQueue as Queue
    from superalign.web.view.guard import Guard

EXAMPLES = """Examples:

superalign view

superalign view --runs /data/runs --port 8081

superalign view --host 192.168.1.20 --allow-others
"""


def view(
    runs: Annotated[str, typer.Option("--runs", metavar="DIR", help="The folder of runs to show.")] = "runs",
    host: Annotated[str, typer.Option(help="The address to listen on. One that others reach needs --allow-others.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8080,
    allow_others: Annotated[
        bool, typer.Option("--allow-others", help="Listen where others reach it, without encryption.")
    ] = False,
    reviewer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides, for the ledger. Default: your user name.")
    ] = None,
) -> None:
    """Browse runs and decide what waits for a person, in a browser. Ctrl-C ends it.

    Whoever opens the printed address can decide in your name: do not pass it on.
    """
    root = Path(runs)
    if not root.is_dir():
        raise InputError("There is no such folder of runs.", where=runs, fix="Name one that is there: --runs DIR.")
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise InputError("The pages need FastAPI and uvicorn.", fix="Run: pip install 'superalign[view]'") from None
    from superalign.web.view.app import view as pages
    from superalign.web.view.guard import Secrets

    if not is_loopback(host) and not allow_others:
        raise InputError(
            f"Others can reach {host}, and what they send and see there is not encrypted.",
            fix="Leave --host out and come through ssh: ssh -L 8080:127.0.0.1:8080 MACHINE. Or add --allow-others.",
        )
    keys = Secrets()
    app = pages(root, _queue(root), keys, host=host, reviewer=reviewer or getpass.getuser())
    listening = listen(host, port)
    try:
        if not is_loopback(host):
            say("Warning: others can reach this address, and whoever reads the network reads the token.")
        shown = f"[{host}]" if ":" in host else host
        print(f"Open http://{shown}:{listening.getsockname()[1]}/login?token={keys.token}", flush=True)
        _run(app, listening)
    finally:
        listening.close()


def _queue(root: Path) -> Queue | None:
    """The review queue of the runs in `root`; None as long as there is none."""
    from superalign.control.approval import QUEUE, ReviewQueue

    return ReviewQueue(root / QUEUE) if (root / QUEUE).exists() else None


def _run(app: Guard, listening: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # addresses hold the token
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=2,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises the signal again once it has ended
        say("Stopped.")
