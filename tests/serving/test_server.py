"""The server: what it refuses before it listens, and that it outlives its own death."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image
from uvicorn import Config

from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import Bundle
from leukoscope.serving import server
from leukoscope.serving.server import serve
from served import Served, until


@pytest.mark.parametrize(
    ("host", "token", "why"),
    [
        ("0.0.0.0", None, "others can reach 0.0.0.0: it takes a token"),
        ("lab.example", None, "others can reach lab.example"),
        ("127.0.0.1", "short", "a token has at least 16 characters"),
        ("0.0.0.0", "", "a token has at least 16 characters"),
    ],
)
def test_others_are_not_let_in_without_a_token(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, host: str, token: str | None, why: str
) -> None:
    monkeypatch.setattr(server, "Multiprocess", lambda *_: pytest.fail("it listens"))
    with pytest.raises(BadInputError, match=why):
        serve(bundle, host, 8000, token, "fp32", 1)


@pytest.mark.parametrize("host", ["::1", "localhost", "127.0.0.1"])
def test_where_it_is_found_is_said(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host: str,
) -> None:
    listens = []

    class Listening:
        def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
            self.socket = sockets[0]
            listens.append(config)

        def run(self) -> None:
            self.socket.close()

    monkeypatch.setattr(server, "Multiprocess", Listening)
    serve(bundle, host, 8123, None, "fp32", 1)
    assert (listens[0].host, listens[0].port) == (host, 8123)
    said = capsys.readouterr().out
    assert f"http://{'[::1]' if host == '::1' else host}:8123" in said
    assert "Research use only" in said


def picture() -> bytes:
    with BytesIO() as file:
        Image.new("RGB", (150, 150), (90, 60, 90)).save(file, "bmp")
        return file.getvalue()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def served(bundle: Bundle, log: Path) -> Iterator[Served]:
    if not Path("/proc/self/task").exists():
        pytest.skip("it takes Linux to tell which child calls")
    with Served.until_left(bundle, log, "--engine", "fp32", "--threads", 1) as running:
        yield running


def test_a_process_that_dies_is_replaced(served: Served) -> None:
    dead = served.calling()
    assert dead
    os.kill(dead, signal.SIGKILL)
    until(lambda: served.calling() not in (dead, None) and served.answers())


def test_who_waits_when_the_server_ends_gets_an_answer(served: Served) -> None:
    pictures = [("files", (f"{number}.bmp", picture())) for number in range(200)]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{served.address}/v1/predict", files=pictures, timeout=60)
        until(lambda: "pictures_waiting 200" in httpx.get(f"{served.address}/metrics").text)
        served.process.terminate()
        answer = asked.result()
    assert len(answer.json()["calls"]) == 200
    assert served.process.wait(60) == 0


NAME = "UID_7\n2026 forged.bmp"


@pytest.mark.parametrize("options", [[], ["--log-names"]])
def test_the_log_holds_names_only_if_asked(bundle: Bundle, log: Path, options: list[str]) -> None:
    with Served.until_left(bundle, log, "--engine", "fp32", "--threads", 1, *options) as running:
        files = [("files", (NAME, picture())), ("files", ("broken.bmp", b"BM"))]
        httpx.post(f"{running.address}/v1/predict", files=files, timeout=60)
        httpx.get(f"{running.address}/UID_8.bmp")
    told = [line for line in log.read_text().splitlines() if " INFO " in line]
    (called,) = (line for line in told if "POST /v1/predict 200" in line)
    assert called.endswith("'UID_7%0A2026 forged.bmp' 'broken.bmp'" if options else " s")
    assert any("GET other 404" in line for line in told)
    assert "UID_8" not in log.read_text()
    assert options or "UID_7" not in log.read_text()
