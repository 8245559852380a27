"""Who may see the pages, and what a browser may do with them.

The server shows what an agent wrote to the person who decides about it, and takes the decision. So other sites must not
read it, nor decide in the reviewer's name: a name that is made to point here (DNS rebinding) is refused by `Host`, a
form on another site by `Origin`, a cookie that stays at home and a token in every form.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from asyncio import timeout
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import parse_qsl

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from superalign.web.listening import is_address, is_loopback

BODY_BYTES = 2**16
BODY_SECONDS = 30.0
TARGET_BYTES = 2_000  # of a path with its query
FORM = "application/x-www-form-urlencoded"
OPEN_TO_ALL = ("/login", "/static/view.css", "/static/report.css", "/static/view.js", "/static/icon.svg")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send `Origin: null` with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

Refuse = Callable[[int, str], Response]


class Secrets:
    """The token that opens the pages, and what is derived from it. Nothing of it is ever written anywhere."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self.cookie = self._derived("cookie")
        self.csrf = self._derived("csrf")
        # Cookies know hosts, not ports: two servers on one machine need two names.
        self.cookie_name = f"superalign-view-{self._derived('name')[:8]}"

    def _derived(self, purpose: str) -> str:
        return hmac.new(self.token.encode(), purpose.encode(), sha256).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether the two are equal, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), wanted.encode())


class Guard:
    """Lets requests through to `app` that a person with the token made on our own pages."""

    def __init__(self, app: ASGIApp, *, keys: Secrets, host: str, refuse: Refuse) -> None:
        """`host` is what the server listens on; `refuse` draws the page that says why not."""
        self._app, self._keys, self._host, self._refuse = app, keys, host, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        fault = self._fault(scope, headers)
        if fault is not None:
            status, says = fault
            await self._refuse(status, says)(scope, receive, send)
            return
        if scope["method"] == "POST":
            form = await self._form(scope, headers, receive)
            if isinstance(form, tuple):
                status, says = form
                await self._refuse(status, says)(scope, receive, send)
                return
            receive = _replayed(form)
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # Starlette has drawn its page, and raises it again for the server to log
            logging.getLogger(__name__).debug("A page could not be drawn", exc_info=error)

    def _fault(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Why the request is refused whatever its body says; None if it is not."""
        if not allowed_host(headers.get("host", ""), self._host):
            return 400, "This address is not one that the server goes by. Use the one that it printed."
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "Only GET and POST are answered here."
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > TARGET_BYTES:
            return 414, "This address is too long."
        if scope["path"] not in OPEN_TO_ALL and not self._signed_in(headers):
            return 401, "Sign in first: open the address with a token that `superalign view` printed when it started."
        return None

    async def _form(self, scope: Scope, headers: Headers, receive: Receive) -> bytes | tuple[int, str]:
        """The form that was sent, or why it is refused."""
        body = await _body(receive)
        if isinstance(body, tuple):
            return body
        return self._form_fault(scope, headers, body) or body

    def _form_fault(self, scope: Scope, headers: Headers, body: bytes) -> tuple[int, str] | None:
        if headers.get("content-type", "").split(";")[0].strip().lower() != FORM:
            return 415, "Only forms are taken here."
        origin = headers.get("origin")
        if origin is not None and origin != f"{scope['scheme']}://{headers['host']}":
            return 403, "This form was sent from another site."
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "This form was sent from another site."
        if scope["path"] == "/login":  # whoever sends it needs the token itself
            return None
        try:
            fields = dict(parse_qsl(body.decode(), max_num_fields=20))
        except ValueError:
            return 400, "This form can't be read."
        if not same(fields.get("csrf", ""), self._keys.csrf):
            return 403, "This form is not one that the server has made, or it was made before a restart. Open it again."
        return None

    def _signed_in(self, headers: Headers) -> bool:
        return same(cookie_parser(headers.get("cookie", "")).get(self._keys.cookie_name, ""), self._keys.cookie)


def allowed_host(header: str, listening: str) -> bool:
    """Whether a `Host` header names this server. A loopback server has its own names only; one that others reach has
    the name it was given, and any address in digits: rebinding needs a name.
    """
    name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
    name = name.removeprefix("[").removesuffix("]").lower()
    if is_loopback(name):
        return True
    if is_loopback(listening):
        return False
    return name == listening.lower() or is_address(name)


def _with_headers(send: Send) -> Send:
    """`send`, with our headers where the answer has none of its own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


async def _body(receive: Receive) -> bytes | tuple[int, str]:
    """The body, or with which status and words it is refused."""
    found = bytearray()
    try:
        async with timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return 400, "The request ended before its end."
                found += message.get("body", b"")
                if len(found) > BODY_BYTES:
                    return 413, "This form is too large."
                if not message.get("more_body"):
                    return bytes(found)
    except TimeoutError:
        return 408, "The form did not arrive in time. Send it again."


def _replayed(body: bytes) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    return receive
