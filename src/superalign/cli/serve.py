"""`superalign serve`: any model that superalign opens, behind OpenAI's chat API."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from superalign.cli.options import Device
from superalign.cli.output import say
from superalign.contracts.errors import InputError
from superalign.web.listening import is_loopback, listen

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette

EXAMPLES = """Examples:

superalign serve --model smollm2-135m

superalign serve --model ./organisms/sycophancy-0/organism --base smollm2-135m --port 8001

superalign serve --model ./my-model --host 0.0.0.0 --api-key-env SERVE_KEY
"""


def serve(
    model: Annotated[str, typer.Option(metavar="NAME", help="What to serve: a known name, a path, or hf/OWNER/NAME.")],
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="What --model was trained from, if it is an adapter or a delta.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on. One that others reach needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8000,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="VAR", help="The environment variable that holds the key clients must send.")
    ] = None,
    device: Device = "cpu",
    dtype: Annotated[
        str, typer.Option(help="bfloat16, or float32: half as fast, and no answer depends on those beside it.")
    ] = "bfloat16",
    max_tokens: Annotated[
        int, typer.Option(min=1, help="The most tokens of an answer, and how long one is that names no length.")
    ] = 1024,
    together: Annotated[int, typer.Option(min=1, help="How many answers are written at a time.")] = 32,
    waiting: Annotated[int, typer.Option(min=1, help="How many answers may wait. Whoever comes then gets 429.")] = 256,
) -> None:
    """Serve a model to whatever speaks OpenAI's chat API. Ctrl-C or SIGTERM: answers what was accepted, then ends."""
    from superalign.models.source import choose_device, resolve

    resolve(model, base)  # what can be told at once is told before anything heavy is imported
    key = _key(host, api_key_env)
    device = choose_device(device, say)
    listening = listen(host, port)
    try:
        app = _app(model, base, device, dtype, key, max_tokens, together, waiting)
        shown = f"[{host}]" if ":" in host else host
        print(f"Serving {model} at http://{shown}:{listening.getsockname()[1]}/v1", flush=True)
        _run(app, listening)
    finally:
        listening.close()


def _key(host: str, variable: str | None) -> str | None:
    """The key that clients must send. InputError when there has to be one and there is none."""
    if variable is not None:
        if key := os.environ.get(variable, "").strip():
            return key
        raise InputError(f"The environment variable {variable} is not set.", fix=f"Set it: export {variable}=...")
    if not is_loopback(host):
        raise InputError(
            f"Others can reach {host}, so that a key is needed.",
            fix="Name the environment variable that holds it: --api-key-env VAR. Or leave --host out.",
        )
    return None


def _app(
    model: str,
    base: str | None,
    device: str,
    dtype: str,
    key: str | None,
    max_tokens: int,
    together: int,
    waiting: int,
) -> Starlette:
    say(f"Opening {model}")
    from superalign.models.answering import Answerer
    from superalign.models.handle import open_alone
    from superalign.models.queue import ModelQueue

    try:
        import uvicorn  # noqa: F401 - told before the model is loaded

        from superalign.web.openai_api import ChatApi
    except ImportError:
        raise InputError("Serving needs Starlette and uvicorn.", fix="Run: pip install 'superalign[serve]'") from None

    subject, digest = open_alone(model, base, device=device, dtype=dtype)
    answerer = Answerer(subject)
    queue = ModelQueue(answerer, together=together, waiting=waiting)
    return ChatApi(model, digest, answerer, queue, most_tokens=max_tokens, key=key).app()


def _run(app: Starlette, listening: socket.socket) -> None:
    """Serve until a signal. What was accepted before is answered; a second Ctrl-C ends at once."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, log_level="critical"))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises the signal again once it has ended
        say("Stopped.")
