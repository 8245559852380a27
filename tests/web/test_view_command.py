"""`superalign view` as a command: where it listens, and what it says and refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superalign.cli.app import app
from superalign.contracts.errors import InputError
from superalign.web.listening import is_loopback, listen

COMMAND = [sys.executable, "-c", "from superalign.cli import main; main()", "view"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--runs", "nowhere"], "no such folder of runs"),
        (["--host", "0.0.0.0"], "not encrypted"),
        (["--host", "192.0.2.1", "--allow-others", "--port", "0"], "Can't listen on 192.0.2.1"),
    ],
)
def test_what_can_not_be_is_told(tmp_path: Path, options: list[str], says: str) -> None:
    given = options if "--runs" in options else [*options, "--runs", str(tmp_path)]
    result = CliRunner().invoke(app, ["view", *given])
    assert isinstance(result.exception, InputError) and says in str(result.exception)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["view", "--port", port, "--runs", str(tmp_path)])
        assert isinstance(result.exception, InputError) and f"port {port}" in str(result.exception)


@pytest.mark.parametrize(
    ("host", "alone"),
    [("localhost", True), ("::1", True), ("127.0.0.9", True), ("0.0.0.0", False), ("::", False), ("lab", False)],
)
def test_who_reaches_a_host(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_it_prints_an_address_that_opens_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--runs", str(tmp_path)],
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Open http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(), urllib.request.ProxyHandler({}))
        page = opener.open(line.split()[1], timeout=60).read().decode()
        assert "There is no run in" in page
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, 130) and "Traceback" not in err
    assert "GET" not in out + err  # addresses are in no log, since one holds the token
