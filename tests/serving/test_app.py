"""The API: what it answers is what `predict`, `explain` and `--subject-summary` say."""

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.model import Model
from leukoscope.inference.subjects import by_subject
from leukoscope.serving import app as application
from leukoscope.serving import limits
from leukoscope.serving.app import MOST_FILES, create

COLUMNS = ["path", "subject", "probability", "call", "certainty", "flags", "reason"]


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> Model:
    return Model(bundle, "fp32", threads=1)


@pytest.fixture
def client(model: Model) -> Iterator[TestClient]:
    with TestClient(create(model), base_url="http://localhost") as opened:
        yield opened


@pytest.fixture(scope="module")
def paths(cells: pd.DataFrame) -> list[Path]:
    return [Path(path) for path in cells["path"][::9]]


def sent(paths: list[Path], names: list[str] | None = None) -> list[tuple[str, Any]]:
    names = names or [path.name for path in paths]
    return [("files", (name, path.read_bytes())) for name, path in zip(names, paths, strict=True)]


def test_calls_are_those_of_the_model_to_the_last_digit(
    client: TestClient, model: Model, paths: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "UID_3_1_1_all.bmp"
    broken.write_bytes(paths[0].read_bytes()[:200])
    some = [*paths, broken]
    answer = client.post("/v1/predict", files=sent(some))
    assert answer.status_code == 200
    told = answer.json()
    assert told["bundle"] == model.bundle.digest
    assert (told["engine"], told["coverage"]) == ("fp32", model.bundle.info.review.coverage(None))
    expected = model.predict(some, [cell["subject"] for cell in told["calls"]])
    found = pd.DataFrame(told["calls"], columns=COLUMNS)
    assert found["path"].tolist() == [path.name for path in some]
    assert found["subject"][0] == "all:1"
    assert found["subject"].tolist()[-1] == "all:3"
    for column in ("probability", "call", "certainty", "flags"):
        assert found[column].astype(object).where(found[column].notna(), None).tolist() == (
            expected[column].astype(object).where(expected[column].notna(), None).tolist()
        )
    assert found["probability"].isna().tolist() == [False] * len(paths) + [True]
    assert found["reason"].iloc[-1].startswith("UID_3_1_1_all.bmp: cannot be read as a picture")


def test_a_name_is_told_as_it_was_sent_and_opens_nothing(
    client: TestClient, paths: list[Path]
) -> None:
    names = ["../../etc/passwd", "a folder/<img src=x onerror=alert(1)>.bmp"]
    answer = client.post("/v1/predict", files=sent(paths[:2], names))
    assert [cell["path"] for cell in answer.json()["calls"]] == names
    assert all(cell["reason"] is None for cell in answer.json()["calls"])


def test_another_coverage_leaves_other_cells_for_review(
    client: TestClient, model: Model, paths: list[Path]
) -> None:
    most = model.bundle.info.review.most
    answer = client.post("/v1/predict", params={"coverage": 0.5}, files=sent(paths))
    expected = model.predict(paths, coverage=0.5)
    assert [cell["call"] for cell in answer.json()["calls"]] == expected["call"].tolist()
    assert answer.json()["coverage"] == 0.5
    answer = client.post("/v1/predict", params={"coverage": 0.99}, files=sent(paths))
    assert answer.status_code == 422
    assert f"it is 0.5 to {most:g}" in answer.json()["detail"]


def test_uploads_stay_in_memory(
    client: TestClient, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rolled(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file was made")

    monkeypatch.setattr("tempfile.TemporaryFile", rolled)
    large = BytesIO()
    Image.new("RGB", (1200, 1200)).save(large, "bmp")
    assert len(large.getvalue()) > 4 * 2**20
    files = [("files", ("large.bmp", large.getvalue())), *sent(paths)]
    assert client.post("/v1/predict", files=files).status_code == 200


def test_what_is_too_much_waits_for_later(
    client: TestClient, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise application.BusyError

    monkeypatch.setattr(application.Desk, "call", busy)
    answer = client.post("/v1/predict", files=sent(paths))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_the_model_tells_what_it_is(client: TestClient, model: Model) -> None:
    told, info = client.get("/v1/model").json(), model.bundle.info
    assert (told["name"], told["engine"], told["card"]) == ("run", "fp32", "# Its card\n")
    assert told["networks"] == ["resnet18"]
    assert [point["threshold"] for point in told["points"]] == [
        point.threshold for point in info.points
    ]
    assert len(told["curve"]) == 99
    assert told["people"] == list(info.review.people)
    assert told["explains"] is True


def test_an_explanation_says_what_the_command_says(
    client: TestClient, bundle: Bundle, store: Store
) -> None:
    cell = store.cells.iloc[store.rows("train")[0]]
    path = Path(cell["path"])
    answer = client.post("/v1/explain", files={"file": (path.name, path.read_bytes())})
    assert answer.status_code == 200
    told = answer.json()
    torch = Model(bundle, "torch", threads=1).predict([path]).iloc[0]
    assert told["call"]["probability"] == torch["probability"]
    assert told["nearest"][0]["id"] == cell["id"]
    assert told["nearest"][0]["label"] == cell["label"]
    assert [layer["name"] for layer in told["layers"]] == ["Occlusion", "Grad-CAM"]
    for png in (told["seen"], *(layer["png"] for layer in told["layers"])):
        with Image.open(BytesIO(base64.b64decode(png))) as picture:
            assert picture.size == (32, 32)
    assert all(layer["most"] > 0 for layer in told["layers"])


def test_what_is_no_picture_is_not_explained(client: TestClient) -> None:
    answer = client.post("/v1/explain", files={"file": ("a.bmp", b"no picture")})
    assert answer.status_code == 422
    assert (
        answer.json()["detail"]
        == "a.bmp: cannot be read as a picture (not a BMP, PNG, JPEG or TIFF picture)"
    )


def test_without_torch_the_server_says_that_it_cannot_explain(
    model: Model, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "find_spec", lambda name: None)
    with TestClient(create(model), base_url="http://localhost") as client:
        assert client.get("/v1/model").json()["explains"] is False
        answer = client.post("/v1/explain", files={"file": ("a.bmp", paths[0].read_bytes())})
        assert answer.status_code == 501


@pytest.mark.parametrize("threshold", [0.5, 0.07])
def test_subjects_are_counted_as_by_the_command(
    client: TestClient, model: Model, paths: list[Path], threshold: float
) -> None:
    calls = client.post("/v1/predict", files=sent(paths)).json()["calls"]
    cells = [{key: cell[key] for key in ("subject", "probability", "call")} for cell in calls]
    cells.append({"subject": "gone", "probability": None, "call": None})
    body = {"threshold": threshold, "cells": cells}
    told = client.post("/v1/subjects", json=body).json()
    info = model.bundle.info
    point = next(p for p in (*info.points, *info.curve) if p.threshold == threshold)
    table = pd.DataFrame(cells).astype({"subject": "string", "call": "string"})
    expected = by_subject(table, point)
    found = pd.DataFrame(told, columns=list(expected)).astype(expected.dtypes)
    pd.testing.assert_frame_equal(found, expected)


def test_a_threshold_of_which_nothing_is_known_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/subjects", json={"threshold": 0.123, "cells": []})
    assert answer.status_code == 422
    assert "nothing is known of the threshold 0.123" in answer.json()["detail"]


def test_metrics_count_requests_and_calls(client: TestClient, paths: list[Path]) -> None:
    client.post("/v1/predict", files=[*sent(paths), ("files", ("x.bmp", b"x"))])
    client.get("/no/such/place")
    text = client.get("/metrics").text
    assert 'leukoscope_requests_total{route="/v1/predict",status="200"} 1.0' in text
    assert 'leukoscope_requests_total{route="other",status="404"} 1.0' in text
    assert 'leukoscope_pictures_total{call="unreadable"} 1.0' in text
    assert "leukoscope_pictures_waiting 0.0" in text
    lines = [line.split() for line in text.splitlines() if "leukoscope_pictures_total{" in line]
    assert sum(float(count) for _, count in lines) == len(paths) + 1
    assert "UID" not in text


def test_what_is_refused_at_the_door_is_counted_too(
    model: Model,
    paths: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(limits, "MOST_REQUESTS", 0)
    token = {"Authorization": "Bearer a long enough token"}
    with (
        caplog.at_level("INFO", "leukoscope"),
        TestClient(create(model, "a long enough token"), headers=token) as client,
    ):
        assert client.post("/v1/predict", files=sent(paths)).status_code == 503
        assert client.get("/v1/model", headers={"Authorization": "Bearer x"}).status_code == 401
        text = client.get("/metrics").text
    for status in (401, 503):
        assert f'leukoscope_requests_total{{route="other",status="{status}"}} 1.0' in text
        assert any(f" other {status} " in line for line in caplog.messages)


def test_the_server_says_that_it_is_well(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_every_answer_is_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    assert set(described) == {
        *("/v1/predict", "/v1/explain", "/v1/model", "/v1/subjects"),
        *("/healthz", "/metrics"),
    }
    assert "cdn" not in client.get("/docs").text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"files": [("files", ("a.bmp", b""))] * (MOST_FILES + 1)}, "Too many files"),
        ({"content": b"--", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"params": {"coverage": "most"}, "files": [("files", ("a.bmp", b""))]}, "query.coverage"),
        ({}, "body.files: Field required"),
    ],
)
def test_what_is_no_request_is_refused_in_a_sentence(
    client: TestClient, given: dict[str, Any], why: str
) -> None:
    answer = client.post("/v1/predict", **given)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]
