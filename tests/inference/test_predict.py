"""Calls: one row a picture in the order given, the same ones however they are computed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from leukoscope.cells.preprocess import read_picture
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.inference import predict as predicting
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.engines import open_engine
from leukoscope.inference.inputs import Cell
from leukoscope.inference.predict import predict, summary, writable, write


@pytest.fixture
def some(store: Store) -> list[Cell]:
    pairs = zip(store.cells["path"], store.cells["subject"], strict=True)
    return [Cell(Path(path), subject) for path, subject in pairs][::3]


def test_calls_are_the_engine_s_after_the_temperature(
    bundle: Bundle, store: Store, some: list[Cell]
) -> None:
    calls = predict(bundle, some, "fp32", threads=2)
    log_odds = open_engine(bundle, "fp32", threads=1)(store.pixels[::3])
    np.testing.assert_allclose(
        calls["probability"],
        expit(log_odds / bundle.info.temperature + bundle.info.prior),
        atol=1e-6,
    )
    assert calls["path"].tolist() == [str(cell.path) for cell in some]
    assert calls["subject"].tolist() == [cell.subject for cell in some]


def test_the_first_operating_point_calls(bundle: Bundle, some: list[Cell]) -> None:
    middle = float(predict(bundle, some, "fp32", threads=1)["probability"].median())
    point = bundle.info.points[0].model_copy(update={"threshold": middle})
    other = Bundle(bundle.folder, bundle.info.model_copy(update={"points": [point]}))
    calls = predict(other, some, "fp32", threads=1)
    expected = np.where(calls["probability"] >= middle, "blast", "normal")
    assert calls["call"].tolist() == expected.tolist()
    assert set(calls["call"]) == {"blast", "normal"}


def test_one_by_one_and_together_are_called_alike(bundle: Bundle, some: list[Cell]) -> None:
    together = predict(bundle, some, "fp32", threads=2)["probability"]
    alone = [predict(bundle, [cell], "fp32", threads=1)["probability"][0] for cell in some[:6]]
    np.testing.assert_allclose(together[:6], alone, atol=1e-6)


def test_what_cannot_be_read_has_a_row_that_says_why(
    bundle: Bundle, some: list[Cell], tmp_path: Path
) -> None:
    (tmp_path / "broken.bmp").write_bytes(b"BM")
    mixed = [
        some[0],
        Cell(tmp_path / "broken.bmp", None),
        Cell(tmp_path / "gone.png", "x"),
        some[1],
    ]
    calls = predict(bundle, mixed, "fp32", threads=1)
    pd.testing.assert_frame_equal(
        calls.iloc[[0, 3]].reset_index(drop=True), predict(bundle, some[:2], "fp32", threads=1)
    )
    assert calls["call"].isna().tolist() == [False, True, True, False]
    assert "broken.bmp: cannot be read" in calls["reason"][1]
    assert "gone.png: cannot be read" in calls["reason"][2]
    assert calls.iloc[1:3]["probability"].isna().all()
    assert "2 cannot be read" in summary(bundle, "fp32", calls, [])


def test_no_pictures_are_no_rows(bundle: Bundle) -> None:
    calls = predict(bundle, [], "fp32", threads=2)
    assert len(calls) == 0
    assert list(calls) == ["path", "subject", "probability", "call", "reason"]


def test_each_picture_is_decoded_once(
    bundle: Bundle, some: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []

    def counting(path: Path) -> object:
        decoded.append(path)
        return read_picture(path)

    monkeypatch.setattr(predicting, "read_picture", counting)
    predict(bundle, some, "fp32", threads=2)
    assert sorted(decoded) == sorted(cell.path for cell in some)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_table_of_calls_reads_back(
    bundle: Bundle, some: list[Cell], tmp_path: Path, suffix: str
) -> None:
    calls = predict(bundle, [*some[:2], Cell(tmp_path / "gone.png", None)], "fp32", threads=1)
    target = tmp_path / f"calls.{suffix}"
    write(calls, target)
    if suffix == "csv":
        found = pd.read_csv(target)
    elif suffix == "parquet":
        found = pd.read_parquet(target)
    else:
        found = pd.read_json(target, lines=True, precise_float=True)
    for column in calls:
        assert [value for value in found[column].tolist() if pd.notna(value)] == [
            pytest.approx(value, rel=1e-9) if column == "probability" else value
            for value in calls[column].dropna()
        ]


def test_where_no_table_can_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"\.csv, \.parquet or \.jsonl"):
        writable(tmp_path / "calls.xlsx")
    cells = tmp_path / "cells.csv"
    cells.write_text("", encoding="utf-8")
    with pytest.raises(BadInputError, match="would replace it"):
        writable(tmp_path / "." / "cells.csv", [cells])
    with pytest.raises(BadInputError, match="no such folder can be made"):
        writable(cells / "calls.csv")
    assert writable(tmp_path / "new" / "calls.CSV", [cells]) == ".csv"


def test_names_of_any_bytes_and_sure_probabilities_are_kept(
    bundle: Bundle, some: list[Cell], tmp_path: Path
) -> None:
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/cell\xe4.bmp"))
    odd.write_bytes(some[0].path.read_bytes())
    calls = predict(bundle, [Cell(odd, None)], "fp32", threads=1)
    assert calls["path"][0].endswith(r"cell\xe4.bmp")
    assert calls["call"].notna().all()
    calls["probability"] = 5e-12
    for suffix in ("csv", "jsonl", "parquet"):
        write(calls, tmp_path / f"calls.{suffix}")
    read = {"precise_float": True, "lines": True}
    assert pd.read_json(tmp_path / "calls.jsonl", **read)["probability"][0] == pytest.approx(5e-12)


def test_calling_needs_no_torch(bundle: Bundle, some: list[Cell], tmp_path: Path) -> None:
    words = ["predict", str(bundle.folder), str(some[0].path), "-o", str(tmp_path / "calls.csv")]
    program = (
        "import sys\n"
        f"sys.argv = ['leukoscope', *{words!r}, '--engine', 'fp32', '--threads', '1']\n"
        "from leukoscope.cli import app\n"
        "app(standalone_mode=False)\n"
        "print(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(pd.read_csv(tmp_path / "calls.csv")) == 1
