"""The manifest on disk: round trips, moves with its folder, refuses what does not fit."""

from pathlib import Path

import pandas as pd
import pytest

from leukoscope.cells import cnmc, manifest
from leukoscope.errors import BadInputError


def cells_of(*rows: dict[str, object]) -> pd.DataFrame:
    """A manifest of `rows`, ids and paths numbered where they are not given."""
    numbered = [
        {"id": f"{i}.bmp", "path": f"/pictures/{i}.bmp", **row} for i, row in enumerate(rows)
    ]
    return manifest.typed(pd.DataFrame(numbered, columns=manifest.COLUMNS, dtype=object))


def published(part: cnmc.Part, blast: int, normal: int, subjects: int) -> list[dict[str, object]]:
    """As many cells as `part` has, spread over `subjects` subjects of each class."""
    return [
        {"label": 1, "subject": f"all:{i % subjects}", "fold": part.fold} for i in range(blast)
    ] + [{"label": 0, "subject": f"hem:{i % subjects}", "fold": part.fold} for i in range(normal)]


@pytest.mark.parametrize("name", ["cells.csv", "cells.parquet"])
def test_round_trip_keeps_values_types_and_unknowns(tmp_path: Path, name: str) -> None:
    cells = cells_of(
        {"label": 1, "subject": "all:11", "image": 2, "cell": 3, "fold": "fold_0"},
        {"id": "NA", "path": str(tmp_path / "deep" / "é, 1.bmp"), "split": "test"},
    )
    manifest.write(cells, tmp_path / name)
    back = manifest.read(tmp_path / name, allow_outside=True)
    pd.testing.assert_frame_equal(back, cells)
    assert list(back.columns) == manifest.COLUMNS
    assert back["label"].dtype == "Int64"
    assert back["label"].isna().tolist() == [False, True]
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_can_be_moved_with_its_manifest(tmp_path: Path) -> None:
    here = tmp_path / "here"
    manifest.write(
        cells_of({"path": str(here / "hem" / "1.bmp")}, {"path": "/elsewhere/2.bmp"}),
        here / "cells.csv",
    )
    assert pd.read_csv(here / "cells.csv")["path"].tolist() == ["hem/1.bmp", "/elsewhere/2.bmp"]
    there = here.rename(tmp_path / "there")
    moved = manifest.read(there / "cells.csv", allow_outside=True)["path"].tolist()
    assert moved == [str(there / "hem" / "1.bmp"), "/elsewhere/2.bmp"]


def test_pictures_outside_of_its_folder_are_read_only_where_that_is_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "away.bmp").symlink_to(tmp_path / "secret.bmp")
    (folder / "near.bmp").symlink_to(folder / "1.bmp")
    names = ["1.bmp", "../secret.bmp", "away.bmp", "near.bmp", "/etc/passwd", "deep/../2.bmp"]
    made = cells_of(*({"path": name, "id": name} for name in names))
    made.to_csv(folder / "cells.csv", index=False)
    with pytest.raises(BadInputError, match=r"3 pictures lie outside.*--allow-outside") as error:
        manifest.read(folder / "cells.csv")
    rows = [line.split(":")[0] for line in str(error.value).splitlines()[1:]]
    assert rows == ["  row 3", "  row 4", "  row 6"]
    assert len(manifest.read(folder / "cells.csv", allow_outside=True)) == 6


def test_names_that_a_spreadsheet_would_compute_read_back(tmp_path: Path) -> None:
    names = ["=1+1.bmp", "@x.bmp", "'=quoted.bmp", "plain.bmp"]
    made = cells_of(*({"path": str(tmp_path / name), "id": name} for name in names))
    manifest.write(made, tmp_path / "cells.csv")
    shown = pd.read_csv(tmp_path / "cells.csv")
    assert shown["id"].tolist() == ["'=1+1.bmp", "'@x.bmp", "''=quoted.bmp", "plain.bmp"]
    pd.testing.assert_frame_equal(manifest.read(tmp_path / "cells.csv"), made)


def test_read_lists_every_bad_row_by_its_spreadsheet_number(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text(
        "id,path,label,subject,image,cell,fold,split\n"
        "a,a.bmp,1,,,,,\n"
        "b,b.bmp,7,,,,,\n"
        "c,c.bmp,blast,,,,,\n"
        "d,d.bmp,0,,x,,,\n"
        "e,e.bmp,0,,,,fold_9,\n"
        "f,f.bmp,0,,,,,exam\n"
        "g,a.bmp,0,,,,,\n"
        "a,h.bmp,0,,,,,\n"
        "i,,0,,,,,\n"
    )
    with pytest.raises(BadInputError) as error:
        manifest.read(file)
    assert str(error.value).splitlines() == [
        f"{file}: 8 bad rows",
        "  row 3: unknown label '7', expected 0 (normal) or 1 (blast)",
        "  row 4: unknown label 'blast', expected 0 (normal) or 1 (blast)",
        "  row 5: unknown image 'x', expected a whole number",
        "  row 6: unknown fold 'fold_9', expected fold_0, fold_1, fold_2, prelim, final",
        "  row 7: unknown split 'exam', expected train, validation, test",
        "  row 8: same path as row 2",
        "  row 9: same id as row 2",
        "  row 10: the path is empty",
    ]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("cells.csv", "id,path,label\n", "the columns subject, image, cell, fold, split are"),
        ("cells.csv", "", "cannot be read"),
        ("cells.parquet", "id,path\n", "cannot be read"),
        ("cells.txt", "", "a .csv or a .parquet"),
    ],
)
def test_read_refuses_what_is_no_manifest(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInputError, match=complaint):
        manifest.read(tmp_path / name)


def test_read_says_that_a_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"absent\.csv"):
        manifest.read(tmp_path / "absent.csv")


def test_write_refuses_what_read_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="row 2: same path as row 1"):
        manifest.write(cells_of({"path": "/a.bmp"}, {"path": "/a.bmp"}), tmp_path / "cells.csv")
    assert not list(tmp_path.iterdir())


def test_summary_counts_cells_and_subjects_by_class_and_fold() -> None:
    text = manifest.summary(
        cells_of(
            {"label": 1, "subject": "all:1", "fold": "fold_0"},
            {"label": 1, "subject": "all:1", "fold": "fold_1"},
            {"label": 0, "subject": "hem:1", "fold": "fold_1", "split": "train"},
            {"fold": "final"},
        )
    )
    rows = [line.split() for line in text.splitlines()]
    assert ["class", "cells", "subjects"] in rows
    assert ["blast", "2", "1"] in rows
    assert ["unknown", "1", "0"] in rows
    assert ["total", "4", "2"] in rows
    assert ["fold", "blast", "normal", "unknown", "cells", "subjects"] in rows
    assert ["fold_1", "1", "1", "0", "2", "2"] in rows
    assert ["split", "blast", "normal", "unknown", "cells", "subjects"] in rows
    assert "subject unknown: 1 of 4 cells" in text


def test_the_whole_training_set_is_recognised_by_its_published_counts() -> None:
    folds = [row for part in cnmc.FOLDS for row in published(part, part.blast, part.normal, 40)]
    lines = cnmc.completeness(cells_of(*folds))
    # 40 + 40 subjects, where 73 were published.
    assert lines[0] == (
        "warning: C-NMC 2019 training set: 10,661 of 10,661 cells "
        "(ALL 7,272 of 7,272, HEM 3,389 of 3,389, subjects 80 of 73)"
    )
    for row in folds:
        kind, number = str(row["subject"]).split(":")
        row["subject"] = f"{kind}:{int(number) % (47 if kind == 'all' else 33)}"
    assert cnmc.completeness(cells_of(*folds)) == [
        "C-NMC 2019 training set complete: 10,661 cells, 73 subjects",
        "preliminary test: absent",
        "final test: absent",
    ]
    flat = [{**row, "fold": None} for row in folds]
    assert cnmc.completeness(cells_of(*flat))[0].startswith("C-NMC 2019 training set complete")


def test_incomplete_and_overfull_parts_are_told() -> None:
    whole, part, _ = cnmc.FOLDS
    rows = published(whole, 2_397, 1_130, 20) + published(part, 197, 1_164, 9)
    assert cnmc.completeness(cells_of(*rows, *[{"fold": "prelim"}] * 1_867)) == [
        "fold_0 complete: 3,527 cells",
        "warning: fold_1: 1,361 of 3,581 cells (ALL 197 of 2,418, HEM 1,164 of 1,163)",
        "fold_2: absent",
        "preliminary test: 1,867 of 1,867 cells (ALL 0 of 1,219, HEM 0 of 648, subjects 0 of 28)",
        "final test: absent",
    ]
    assert cnmc.completeness(cells_of({"label": 1, "subject": "lab:1"})) == []
