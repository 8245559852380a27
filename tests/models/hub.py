"""A hub of one model on loopback, as much of the Hugging Face hub's protocol as fetching a snapshot takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name: str
    folder: Path

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        files = {path.name: path for path in self.folder.iterdir()}
        path = self.path.split("?")[0]
        asked = path.removeprefix(f"/{self.name}/resolve/{COMMIT}/")
        about = {
            f"/api/models/{self.name}/revision/main": {"id": self.name, "sha": COMMIT},
            f"/api/models/{self.name}/tree/{COMMIT}": [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": _sha256(file)}
                for name, file in files.items()
            ],
        }
        if path in about:
            content = json.dumps(about[path]).encode()
            self._send(200, content, {"Content-Type": "application/json"}, with_body)
        elif asked in files:
            headers = {"ETag": f'"{_sha256(files[asked])}"', "X-Repo-Commit": COMMIT}
            self._send(200, files[asked].read_bytes(), headers, with_body)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextmanager
def hub(name: str, folder: Path) -> Iterator[str]:
    """The address of a hub that has the files of `folder` as the model `name`."""
    handler = type("OneModel", (Handler,), {"name": name, "folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
