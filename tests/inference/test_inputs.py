"""What is to be called: in the order named, nothing passed over in silence."""

from io import BytesIO, TextIOWrapper
from pathlib import Path

import pandas as pd
import pytest

from leukoscope.cells import manifest
from leukoscope.errors import BadInputError
from leukoscope.inference.inputs import expanded, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.BMP", "deep/UID_H3_1_2_hem.bmp", "notes.txt"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "folder"


def test_folders_and_pictures_come_in_the_order_named(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "UID_11_1_1_all.tiff.part"
    alone.write_bytes(b"")
    found = find([alone, folder, folder / "b.png"])
    names = [cell.path.name for cell in found.cells]
    assert names == [alone.name, "a.BMP", "b.png", "UID_H3_1_2_hem.bmp", "b.png"]
    assert [cell.subject for cell in found.cells] == [None, None, None, "hem:3", None]
    assert [path.name for path in found.passed_over] == ["notes.txt"]


def test_patterns_and_lists_name_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "cell[1].png"
    odd.write_bytes(b"")
    listed = f"{folder / 'b.png'}\n\n{folder / '*.BMP'}\r\n"
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(listed.encode())))
    found = find([folder / "**" / "*.bmp", Path("-"), odd]).cells
    names = [cell.path.name for cell in found]
    assert names == ["UID_H3_1_2_hem.bmp", "b.png", "a.BMP", "cell[1].png"]
    with pytest.raises(BadInputError, match=r"\*\.gif matches no file"):
        find([folder / "*.gif"])


def test_a_list_may_name_other_file_systems_and_these_are_not_called_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = b"s3://hospital/cells\n"
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(listed)))
    assert list(expanded(["-"])) == ["s3://hospital/cells"]
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(listed)))
    with pytest.raises(BadInputError, match=r"s3://hospital/cells: .* --engine ray"):
        find([Path("-")])


def test_a_manifest_names_pictures_and_subjects(cells: pd.DataFrame, tmp_path: Path) -> None:
    some = cells.iloc[:3].copy()
    some.loc[1, "subject"] = pd.NA
    manifest.write(some, tmp_path / "some.parquet")
    found = find([tmp_path / "some.parquet"], allow_outside=True).cells
    assert [str(cell.path) for cell in found] == some["path"].tolist()
    assert [cell.subject for cell in found] == [
        some.loc[0, "subject"],
        None,
        some.loc[2, "subject"],
    ]


def test_a_subject_is_read_from_a_single_picture(tmp_path: Path) -> None:
    (tmp_path / "UID_7_1_1_all.bmp").write_bytes(b"")
    (cell,) = find([tmp_path / "UID_7_1_1_all.bmp"]).cells
    assert cell.subject == "all:7"


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        find([tmp_path / "gone"])
    with pytest.raises(BadInputError, match="no BMP"):
        find([tmp_path])
