"""Calls: one row a picture in the order given, the same ones however they are computed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import expit
from sklearn.metrics import roc_auc_score

import leukoscope
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.review import COVERAGES, Review
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.calls import counted, summary, writable, write
from leukoscope.inference.engines import Engine, EngineName, open_engine
from leukoscope.inference.inputs import Cell
from leukoscope.inference.model import Model


def predict(
    bundle: Bundle,
    cells: Sequence[Cell],
    engine: EngineName,
    threads: int,
    coverage: float | None = None,
) -> pd.DataFrame:
    paths, subjects = [cell.path for cell in cells], [cell.subject for cell in cells]
    return Model(bundle, engine, threads).predict(paths, subjects, coverage)


@pytest.fixture
def some(store: Store) -> list[Cell]:
    pairs = zip(store.cells["path"], store.cells["subject"], strict=True)
    return [Cell(Path(path), subject) for path, subject in pairs][::3]


def test_calls_are_the_engine_s_after_the_temperature(
    bundle: Bundle, store: Store, some: list[Cell]
) -> None:
    calls = predict(bundle, some, "fp32", threads=2)
    log_odds = open_engine(bundle, "fp32", threads=1)(store.pixels[::3]).log_odds
    np.testing.assert_allclose(
        calls["probability"],
        expit(log_odds / bundle.info.temperature + bundle.info.prior),
        atol=1e-6,
    )
    assert calls["path"].tolist() == [str(cell.path) for cell in some]
    assert calls["subject"].tolist() == [cell.subject for cell in some]


def test_calls_that_cannot_keep_the_coverage_are_for_review(
    bundle: Bundle, some: list[Cell]
) -> None:
    """Limits equal to the coverage: a cell is certain up to the probability of its class."""
    review = Review(people=(9, 9), limits=(list(COVERAGES), list(COVERAGES)))
    other = Bundle(bundle.folder, bundle.info.model_copy(update={"review": review}))
    for coverage in (0.5, 0.7, 0.9):
        calls = predict(other, some, "fp32", threads=1, coverage=coverage)
        blast = calls["probability"]
        expected = np.where(blast > coverage, "blast", "review")
        expected = np.where(1 - blast > coverage, "normal", expected)
        assert calls["call"].tolist() == expected.tolist()
        assert ((calls["certainty"] >= coverage) == (calls["call"] != "review")).all()
        assert f"{(expected == 'review').sum()} for review" in summary(
            other, "fp32", counted(calls), 0
        )
    with pytest.raises(BadInputError, match="cannot be promised"):
        predict(other, some, "fp32", threads=1, coverage=0.91)


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
    assert "2 cannot be read" in summary(bundle, "fp32", counted(calls), 0)


def test_files_arrays_and_pictures_of_pil_are_called_alike(
    bundle: Bundle, some: list[Cell]
) -> None:
    model = leukoscope.load(bundle.folder, "fp32", threads=1)
    paths = [cell.path for cell in some[:3]]
    opened = [Image.open(path) for path in paths]
    files = model.predict([str(path) for path in paths])
    for others in (opened, [np.asarray(picture.convert("RGB")) for picture in opened]):
        calls = model.predict(others)
        assert calls["probability"].tolist() == files["probability"].tolist()
        assert calls["path"].isna().all()
    assert files["path"].tolist() == [str(path) for path in paths]
    together = np.stack([np.asarray(picture.convert("RGB")) for picture in opened])
    assert model.predict(together)["probability"].tolist() == files["probability"].tolist()


def test_an_array_that_is_no_picture_has_a_row_that_says_why(bundle: Bundle) -> None:
    model = Model(bundle, "fp32", 1)
    wrong = [np.zeros((9, 9, 3)), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8)]
    calls = model.predict(wrong)
    assert calls["call"].isna().all()
    assert calls["reason"].str.contains("is no picture: uint8 of shape").all()


def test_probabilities_are_laid_out_as_scikit_learn_s(
    bundle: Bundle, store: Store, some: list[Cell]
) -> None:
    model = Model(bundle, "fp32", 1)
    paths = [cell.path for cell in some]
    probability = model.predict_proba(paths)
    assert model.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert probability[:, 1].tolist() == model.predict(paths)["probability"].tolist()
    assert roc_auc_score(store.labels[::3], probability[:, 1]) > 0.9
    with pytest.raises(BadInputError, match="1 pictures cannot be read"):
        model.predict_proba([*paths, "gone.png"])


def test_a_file_of_pil_that_breaks_off_has_a_row_that_says_why(
    bundle: Bundle, some: list[Cell], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.bmp"
    broken.write_bytes(some[0].path.read_bytes()[:5000])
    calls = Model(bundle, "fp32", 1).predict([Image.open(broken), Image.open(some[0].path)])
    assert calls["call"].isna().tolist() == [True, False]
    assert "cannot be decoded" in calls["reason"][0]


def test_subjects_may_be_a_column_and_must_be_as_many(bundle: Bundle, some: list[Cell]) -> None:
    model, paths = Model(bundle, "fp32", 1), [cell.path for cell in some[:2]]
    assert model.predict(paths, pd.Series(["a", "b"]))["subject"].tolist() == ["a", "b"]
    with pytest.raises(BadInputError, match="1 subjects of 2 pictures"):
        model.predict(paths, ["a"])
    with Image.open(paths[0]) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    for single in (str(paths[0]), paths[0], pixels):
        for called in (model.predict, model.predict_proba):
            with pytest.raises(BadInputError, match="pictures are a list"):
                called(single)


def test_a_model_opens_its_engine_once_for_each_use(
    bundle: Bundle, some: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def opening(bundle: Bundle, name: EngineName, threads: int) -> Engine:
        opened.append(threads)
        return open_engine(bundle, name, threads)

    monkeypatch.setattr("leukoscope.inference.model.open_engine", opening)
    model = Model(bundle, "fp32", 2)
    for _ in range(3):
        model.predict([some[0].path])
        model.predict([cell.path for cell in some])
    assert opened == [2, 1]


def test_no_pictures_are_no_rows(bundle: Bundle) -> None:
    calls = predict(bundle, [], "fp32", threads=2)
    assert len(calls) == 0
    assert list(calls) == ["path", "subject", "probability", "call", "certainty", "flags", "reason"]


def test_each_picture_is_decoded_once(
    bundle: Bundle, some: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []

    def counting(path: Path) -> object:
        decoded.append(path)
        return read_picture(path)

    monkeypatch.setattr("leukoscope.inference.model.read_picture", counting)
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
