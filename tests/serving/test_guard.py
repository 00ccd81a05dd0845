"""The guard: who may ask, how much, and what browsers are told."""

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from leukoscope.serving import guard
from leukoscope.serving.guard import Guard, loopback

TOKEN = "0123456789abcdef"


async def echo(request: Request) -> PlainTextResponse:
    try:
        return PlainTextResponse(str(len(await request.body())))
    except ClientDisconnect:
        return PlainTextResponse("cut off", 413)


def client(token: str | None, host: str = "localhost") -> TestClient:
    paths = ("/", "/healthz", "/docs", "/v1/predict", "/metrics", "/page/main.js")
    app = Starlette(routes=[Route(path, echo, methods=["GET", "POST"]) for path in paths])
    return TestClient(Guard(app, token), base_url=f"http://{host}")


@pytest.mark.parametrize("path", ["/v1/predict", "/metrics", "/openapi", "/pages"])
@pytest.mark.parametrize(
    "told", [None, "Bearer", "Bearer 0123456789abcdeX", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
def test_without_the_token_nothing_is_told(path: str, told: str | None) -> None:
    headers = {"Authorization": told.encode()} if told else {}
    answer = client(TOKEN, "lab.example").get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_with_the_token_all_is_open_and_the_page_is_without() -> None:
    opened = client(TOKEN, "lab.example")
    bearer = {"Authorization": f"bearer {TOKEN}"}
    assert opened.get("/v1/predict", headers=bearer).status_code == 200
    for path in ("/", "/healthz", "/docs", "/page/main.js"):
        assert opened.get(path).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.9.9.9"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert client(None, host).get("/v1/predict").status_code == 200


@pytest.mark.parametrize("host", ["lab.example", "10.0.0.1:8000", "localhost.example", "0.0.0.0"])
def test_a_name_that_was_led_here_is_refused(host: str) -> None:
    answer = client(None, host).get("/v1/predict")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)],
)
def test_pages_of_others_may_not_ask(site: str, status: int) -> None:
    answer = client(None).post("/v1/predict", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == status


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    return client(None)


def test_a_body_that_says_that_it_is_too_large_is_not_read(small: TestClient) -> None:
    assert small.post("/v1/predict", content=b"x" * 1000).text == "1000"
    assert small.post("/v1/predict", content=b"x" * 1001).status_code == 413
    answer = small.post("/v1/predict", content=b"x", headers={"Content-Length": "-5"})
    assert answer.status_code == 413


def test_a_body_that_does_not_tell_its_length_is_cut_off(small: TestClient) -> None:
    pieces = (b"x" * 100 for _ in range(20))
    assert small.post("/v1/predict", content=pieces).text == "cut off"


def test_browsers_are_told_to_ask_nobody_else() -> None:
    for path in ("/", "/v1/predict", "/nowhere"):
        headers = client(None).get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers
    assert "unsafe-eval" not in client(None).get("/docs").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("::1", True), ("127.0.0.1", True), ("0.0.0.0", False), (None, False)],
)
def test_loopback_is_told_from_what_others_reach(host: str | None, own: bool) -> None:
    assert loopback(host) is own
