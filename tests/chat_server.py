"""A server on loopback that speaks the OpenAI chat API, and misbehaves on demand."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-loopback-8731-not-for-your-eyes"
Behave = Callable[["Handler", dict[str, Any]], None]


class Server(ThreadingHTTPServer):
    """Answers its n-th request by the n-th behaviour, and all after them by the last one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours: tuple[Behave, ...] = (says("Yes."),)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.active = self.most_active = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests want."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            behave = server.behaviours[min(len(server.requests), len(server.behaviours) - 1)]
            server.requests.append(body)
            server.keys.append(self.headers["Authorization"])
            server.active += 1
            server.most_active = max(server.most_active, server.active)
        behave(self, body)

    def reply(self, status: int, body: str) -> None:
        with self.server.lock:  # before the client can know, and so ask again
            self.server.active -= 1
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read the log of the client."""


def completion(content: str | None, finish: str = "stop", written: int = 2, **message: Any) -> str:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    usage = {"prompt_tokens": 10, "completion_tokens": written, "total_tokens": 10 + written}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    )


def sends(status: int, body: str) -> Behave:
    return lambda handler, _: handler.reply(status, body)


def says(content: str | None, finish: str = "stop", written: int = 2, **message: Any) -> Behave:
    return sends(200, completion(content, finish, written, **message))


def fails(status: int, message: str = "no luck") -> Behave:
    return sends(status, json.dumps({"error": {"message": message, "type": "error", "code": None}}))


def repeats(handler: Handler, body: dict[str, Any]) -> None:
    """Answers with the question."""
    handler.reply(200, completion(body["messages"][-1]["content"]))


def resets(handler: Handler, _: dict[str, Any]) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def hangs(handler: Handler, _: dict[str, Any]) -> None:
    handler.server.closing.wait(300)
    handler.close_connection = True


@contextmanager
def serving() -> Iterator[Server]:
    """A server until the end of the block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def environment(server: Server) -> dict[str, str]:
    """What makes `openai-api/loopback/...` be this server."""
    return {
        "NO_PROXY": "127.0.0.1",
        "LOOPBACK_API_KEY": KEY,
        "LOOPBACK_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
    }
