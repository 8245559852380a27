"""A model behind the API: in a process of its own as users start it, or in this one where a test holds the model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from openai import OpenAI

from superalign.models.answering import Answerer
from superalign.models.queue import ModelQueue
from superalign.testing.tiny import tiny_model
from superalign.web.openai_api import ChatApi

COMMAND = [sys.executable, "-c", "from superalign.cli import main; main()", "serve"]
KEY = "sk-served-4417-not-for-your-eyes"
SOON = 120  # seconds after which a test that waits gives up


def client(address: str, key: str = KEY) -> OpenAI:
    return OpenAI(base_url=address, api_key=key, max_retries=0, timeout=SOON)


@contextmanager
def started(*options: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`superalign serve` on a free port until the end of the block, and its address."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *map(str, options)],
        env=os.environ | {"SERVED_KEY": KEY, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout and process.stderr
        line = process.stdout.readline()
        assert " at http://" in line, line + process.stderr.read()
        yield process, line.split(" at ")[1].strip()
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("served") / "tiny")


@pytest.fixture(scope="module")
def served(model: Path) -> Iterator[OpenAI]:
    """The model in float32, in which no answer depends on those beside it."""
    with started("--model", model, "--dtype", "float32", "--api-key-env", "SERVED_KEY") as (_, address):
        yield client(address)


@contextmanager
def here(answerer: Answerer, *, key: str | None = None, **limits: int) -> Iterator[str]:
    """The API of `answerer` in this process, under the name `held`, and its address."""
    api = ChatApi("held", "0" * 64, answerer, ModelQueue(answerer, **limits), most_tokens=900, key=key)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api.app(), log_config=None, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
