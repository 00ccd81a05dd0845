"""The limits of load: how many ask at once, how much they hold together, how long each may take.

Whatever is over them is answered by 503 and when to ask again, so that no load fills the memory.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leukoscope.serving.guard import MOST_BYTES, refused

MOST_REQUESTS = 512
"""Of those under way."""
MOST_HELD = 2 * MOST_BYTES
"""Of all their bodies together."""
SECONDS = 120.0
"""For one request, its body and its wait included."""
LONGER = {"/v1/explain": 900.0}
"""Where one may take longer: deep networks are asked of a large picture some thousand times."""

RETRY = {"Retry-After": "2"}


class Limits:
    """Passes on what there is room for; of what asks for a model's work, not of the page's files.

    Args:
        app: whose load is bounded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        told = int(Headers(scope=scope).get("content-length", "0"))
        if self.requests >= MOST_REQUESTS or self.held + told > MOST_HELD:
            busy = refused(503, "too much is under way; ask again", RETRY)
            await busy(scope, receive, send)
            return
        self.requests += 1
        holds, answered = _Holds(self, told, receive), False
        seconds = LONGER.get(scope["path"], SECONDS)

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            async with asyncio.timeout(seconds):
                await self.app(scope, holds, watched)
        except TimeoutError:
            if not answered:
                late = refused(503, f"not done within {seconds:g} seconds; ask again", RETRY)
                await late(scope, receive, send)
        finally:
            self.requests -= 1
            self.held -= holds.bytes


class _Holds:
    """Receives a body, counted: as long as it was said to be, or as long as it grows."""

    def __init__(self, limits: Limits, told: int, receive: Receive) -> None:
        self.limits, self.receive = limits, receive
        self.bytes = self.room = told
        limits.held += told

    async def __call__(self) -> Message:
        message = await self.receive()
        self.room -= len(message.get("body", b""))
        if self.room < 0:
            self.limits.held -= self.room
            self.bytes -= self.room
            self.room = 0
        return {"type": "http.disconnect"} if self.limits.held > MOST_HELD else message
