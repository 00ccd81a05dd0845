"""The server: what it refuses before it listens."""

import pytest

from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import Bundle
from leukoscope.serving import server
from leukoscope.serving.server import serve


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
    monkeypatch.setattr(server.uvicorn, "run", lambda *_, **__: pytest.fail("it listens"))
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
    monkeypatch.setattr(server.uvicorn, "run", lambda _, **how: listens.append(how))
    serve(bundle, host, 8123, None, "fp32", 1)
    assert (listens[0]["host"], listens[0]["port"]) == (host, 8123)
    said = capsys.readouterr().out
    assert f"http://{'[::1]' if host == '::1' else host}:8123" in said
    assert "Research use only" in said
