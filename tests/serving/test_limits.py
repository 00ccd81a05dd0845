"""The limits of load: over them there is a 503 and when to ask again, and nothing is kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from leukoscope.serving import limits
from leukoscope.serving.limits import Limits

Ask = Callable[[httpx.AsyncClient, asyncio.Event], Awaitable[None]]


def run(ask: Ask) -> Limits:
    """Let `ask` speak to an application that answers once its event is set."""

    async def talk() -> Limits:
        gate = asyncio.Event()

        async def wait(request: Request) -> PlainTextResponse:
            try:
                body = await request.body()
            except ClientDisconnect:
                return PlainTextResponse("cut off", 413)
            await gate.wait()
            return PlainTextResponse(str(len(body)))

        paths = ("/v1/predict", "/healthz")
        app = Limits(Starlette(routes=[Route(path, wait, methods=["POST"]) for path in paths]))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await ask(client, gate)
        return app

    return asyncio.run(talk())


def assert_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json()["detail"]


def test_one_more_than_there_is_room_for_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_REQUESTS", 3)

    async def ask(client: httpx.AsyncClient, gate: asyncio.Event) -> None:
        waiting = [asyncio.create_task(client.post("/v1/predict")) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert_refused(await client.post("/v1/predict"))
        gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 3
        assert (await client.post("/v1/predict")).status_code == 200

    assert run(ask).requests == 0


def test_bodies_hold_no_more_together_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_HELD", 1000)

    async def ask(client: httpx.AsyncClient, gate: asyncio.Event) -> None:
        waiting = asyncio.create_task(client.post("/v1/predict", content=b"x" * 600))
        await asyncio.sleep(0.05)
        assert_refused(await client.post("/v1/predict", content=b"x" * 401))
        gate.set()
        assert (await client.post("/v1/predict", content=b"x" * 400)).text == "400"
        assert (await waiting).text == "600"
        assert (await client.post("/v1/predict", content=b"x" * 1000)).text == "1000"

    assert run(ask).held == 0


@pytest.mark.parametrize(("parts", "told"), [(9, "900"), (11, "cut off")])
def test_a_body_of_unknown_length_is_counted_as_it_grows(
    monkeypatch: pytest.MonkeyPatch, parts: int, told: str
) -> None:
    monkeypatch.setattr(limits, "MOST_HELD", 1000)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(parts):
            yield b"x" * 100

    async def ask(client: httpx.AsyncClient, gate: asyncio.Event) -> None:
        gate.set()
        assert (await client.post("/v1/predict", content=body())).text == told

    assert run(ask).held == 0


def test_who_takes_too_long_is_told_so_and_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.1)

    async def ask(client: httpx.AsyncClient, gate: asyncio.Event) -> None:
        assert_refused(await client.post("/v1/predict", content=b"x"))
        gate.set()
        assert (await client.post("/v1/predict", content=b"x")).text == "1"

    left = run(ask)
    assert (left.requests, left.held) == (0, 0)


def test_whether_the_server_lives_is_told_under_any_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_REQUESTS", 0)

    async def ask(client: httpx.AsyncClient, gate: asyncio.Event) -> None:
        gate.set()
        assert (await client.post("/healthz")).status_code == 200
        assert_refused(await client.post("/v1/predict"))

    run(ask)
