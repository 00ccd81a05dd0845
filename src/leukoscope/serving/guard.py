"""The guard at the door: who may ask, how much, and what a browser may do with the answer."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 256 * 2**20
"""Of a request."""

OPEN = ("/healthz", "/docs", "/openapi.json", "/static-offline-docs/", "/page/")
"""What holds nothing of a model or of a cell, beside the page itself: it needs no token."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = POLICY.replace("-src 'self';", "-src 'self' 'unsafe-inline';")
"""Swagger's page has a script of its own within; nothing that was sent is ever shown there."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Passes on what may pass.

    Refused are: requests without the token (401), those that a page of another origin makes, by its
    own name or by a name that it has led to this machine (403), bodies above `MOST_BYTES` (413).

    Args:
        app: what it guards.
        token: None: everyone may ask who calls this machine by a name of its own.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, headers = scope["path"], Headers(scope=scope)
        policy = DOCS_POLICY if path == "/docs" else POLICY

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({**HEADERS, "Content-Security-Policy": policy})
            await send(message)

        if refusal := self._refusal(path, headers):
            await refusal(scope, receive, sealed)
            return
        await self.app(scope, _bounded(receive), sealed)

    def _refusal(self, path: str, headers: Mapping[str, str]) -> JSONResponse | None:
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and path.startswith("/v1/"):
            return refused(403, "pages of another origin may not ask")
        if self.token is None and not loopback(urlsplit(f"//{headers.get('host', '')}").hostname):
            return refused(403, "without a token only this machine may ask, as localhost")
        if not (path == "/" or path.startswith(OPEN) or self._known(headers)):
            return refused(
                401,
                "the token is missing or wrong",
                {"WWW-Authenticate": 'Bearer realm="leukoscope"'},
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return refused(413, f"a request may hold {MOST_BYTES // 2**20} MB")
        return None

    def _known(self, headers: Mapping[str, str]) -> bool:
        if self.token is None:
            return True
        scheme, _, told = headers.get("authorization", "").partition(" ")
        # In constant time: how long a comparison takes must not tell how much was right.
        right = hmac.compare_digest(told.strip().encode(), self.token.encode())
        return scheme.lower() == "bearer" and right


def loopback(host: str | None) -> bool:
    """Return whether `host`, a name or an address, is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:  # another name, which may stand for anything
        return False


def _bounded(receive: Receive) -> Receive:
    """Return `receive`, ended where a body that did not tell its length grows beyond measure."""
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return {"type": "http.disconnect"} if received > MOST_BYTES else message

    return bounded


def refused(status: int, why: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the answer to what is not passed on."""
    return JSONResponse({"detail": why}, status, dict(headers or {}))
