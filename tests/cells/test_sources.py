"""Every layout that cells come in, every kind of bad input, and that no cell is ever lost."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from leukoscope.cells import manifest
from leukoscope.cells.sources import Reading, read_sources
from leukoscope.errors import BadInputError

LABELS_CSV = "C-NMC_test_prelim_phase_data_labels.csv"


def picture(path: Path, size: tuple[int, int] = (6, 4)) -> Path:
    """A small picture at `path`, in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 20, 110)).save(path)
    return path


def pictures(folder: Path, *names: str) -> Path:
    """Small pictures called `names` below `folder`, which is returned."""
    for name in names:
        picture(folder / name)
    return folder


def table(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    """A text file of `lines`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return path


def rows(reading: Reading, *columns: str) -> list[tuple[object, ...]]:
    """The values of the good cells in `columns`, None where unknown."""
    cells = reading.cells[list(columns)].astype(object)
    return list(cells.where(cells.notna(), None).itertuples(index=False, name=None))


def reasons(reading: Reading) -> dict[str, str]:
    """The reason for each rejected id."""
    return dict(zip(reading.rejected["id"], reading.rejected["reason"], strict=True))


# Layouts


def test_kaggle_tree_with_the_preliminary_labels_beside_the_folder(tmp_path: Path) -> None:
    tree = pictures(
        tmp_path / "C-NMC_Leukemia",
        "training_data/fold_0/all/UID_11_2_3_all.bmp",
        "training_data/fold_2/hem/UID_H3_1_4_hem.bmp",
        "validation_data/C-NMC_test_prelim_phase_data/1.bmp",
        "validation_data/C-NMC_test_prelim_phase_data/2.bmp",
        "testing_data/C-NMC_test_final_phase_data/1.bmp",
    )
    table(
        tree / "validation_data" / LABELS_CSV,
        "Patient_ID,new_names,labels",
        "UID_57_29_1_all.bmp,1.bmp,1",
        "UID_H49_29_2_hem.bmp,2.bmp,0",
    )
    reading = read_sources([tmp_path])
    assert rows(reading, "label", "subject", "image", "cell", "fold") == [
        (None, None, None, None, "final"),
        (1, "all:11", 2, 3, "fold_0"),
        (0, "hem:3", 1, 4, "fold_2"),
        (1, "all:57", 29, 1, "prelim"),
        (0, "hem:49", 29, 2, "prelim"),
    ]
    assert reading.cells["id"].iloc[1] == (
        "C-NMC_Leukemia/training_data/fold_0/all/UID_11_2_3_all.bmp"
    )
    assert reading.cells["id"].iloc[3].endswith("C-NMC_test_prelim_phase_data/1.bmp")
    assert reading.cells["path"].map(lambda path: Path(path).is_file()).all()
    assert {layout for _, layout in reading.layouts} == {
        "C-NMC training folds",
        "C-NMC preliminary test",
        "C-NMC final test",
    }
    assert reading.passed_over == Counter()  # the labels were read


@pytest.mark.parametrize(
    ("folder", "labels"),
    [
        ("C-NMC_test_prelim_phase_data", f"C-NMC_test_prelim_phase_data/{LABELS_CSV}"),
        ("C-NMC_test_prelim_phase_data/C-NMC_test_prelim_phase_data", LABELS_CSV),
        ("phase2", "phase2.csv"),
    ],
    ids=["TCIA, inside", "doubled folder", "challenge"],
)
def test_preliminary_labels_are_found_wherever_they_lie(
    tmp_path: Path, folder: str, labels: str
) -> None:
    picture(tmp_path / "set" / folder / "1.bmp")
    table(tmp_path / "set" / labels, "Patient_ID,new_names,labels", "UID_57_29_1_all.bmp,1.bmp,1")
    expected = [(f"{folder}/1.bmp", 1, "all:57", "prelim")]
    assert rows(read_sources([tmp_path / "set"]), "id", "label", "subject", "fold") == expected


def test_tests_without_labels_are_cells_of_unknown_class(tmp_path: Path) -> None:
    reading = read_sources([pictures(tmp_path / "set", "phase2/1.bmp", "phase3/1.bmp")])
    assert rows(reading, "label", "fold") == [(None, "prelim"), (None, "final")]


def test_preliminary_labels_as_a_source_of_their_own(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "numbered", "1.bmp")
    labels = table(tmp_path / "p.csv", "Patient_ID,new_names,labels", "UID_5_1_1_all.bmp,1.bmp,1")
    assert rows(read_sources([labels], root=folder), "id", "label", "subject", "fold") == [
        ("1.bmp", 1, "all:5", "prelim")
    ]


def test_flat_folder_of_uid_names_in_any_case_and_format(tmp_path: Path) -> None:
    names = ("UID_11_1_1_ALL.BMP", "uid_2_1_1_all.png", "UID_h3_7_2_hem.jpg", "Uid_H4_1_1_Hem.TIFF")
    reading = read_sources([pictures(tmp_path / "flat", *names)])
    assert sorted(rows(reading, "id", "label", "subject")) == sorted(
        zip(names, (1, 1, 0, 0), ("all:11", "all:2", "hem:3", "hem:4"), strict=True)
    )
    assert reading.sizes == Counter({(6, 4): 4})


def test_all_and_hem_subjects_of_one_number_are_different_people(tmp_path: Path) -> None:
    pictures(tmp_path / "flat", "UID_1_1_1_all.bmp", "UID_H1_1_1_hem.bmp", "UID_h01_1_2_hem.bmp")
    assert read_sources([tmp_path / "flat"]).cells["subject"].nunique() == 2


def test_one_folder_a_class(tmp_path: Path) -> None:
    folders = {"ALL": 1, "blasts": 1, "Leukemia": 1, "1": 1, "HEM": 0, "Normal": 0, "0": 0}
    pictures(tmp_path / "set", *(f"{folder}/deep/x.png" for folder in folders), "other/x.png")
    reading = read_sources([tmp_path / "set"])
    assert {Path(str(i)).parts[0]: label for i, label in rows(reading, "id", "label")} == folders
    assert reading.cells["subject"].isna().all()
    assert reasons(reading)["other/x.png"].startswith("unknown label")


def test_one_source_a_class(tmp_path: Path) -> None:
    sources = [pictures(tmp_path / kind, "1.png") for kind in ("blast", "normal")]
    reading = read_sources(sources)
    assert rows(reading, "id", "label") == [("blast/1.png", 1), ("normal/1.png", 0)]


def test_lab_lists_keep_the_path_as_id_and_give_the_split(tmp_path: Path) -> None:
    root = pictures(tmp_path / "root", "new/train/0.bmp", "new/UID_H2_3_4_hem.bmp", "new/9.bmp")
    lists = [
        table(tmp_path / "train.csv", "Path,label", "./new/train/0.bmp,1"),
        table(tmp_path / "valid.csv", "path;LABEL", "./new/UID_H2_3_4_hem.bmp;0"),
        table(tmp_path / "test.csv", "Path", "./new/9.bmp", encoding="utf-8-sig"),
    ]
    reading = read_sources(lists, root=root)
    assert rows(reading, "id", "label", "subject", "split") == [
        ("./new/train/0.bmp", 1, None, "train"),
        ("./new/UID_H2_3_4_hem.bmp", 0, "hem:2", "validation"),
        ("./new/9.bmp", None, None, "test"),
    ]
    assert reading.cells["path"].iloc[0] == str(root / "new" / "train" / "0.bmp")


def test_the_root_of_a_list_is_its_own_folder_unless_given(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    assert len(read_sources([table(tmp_path / "list.csv", "Path\tlabel", "a.png\t0")]).cells) == 1


@pytest.mark.parametrize("name", ["cells.csv", "cells.parquet"])
def test_a_manifest_already_made_reads_back_the_same_and_merges(tmp_path: Path, name: str) -> None:
    tree = pictures(tmp_path / "set", "fold_0/all/UID_11_2_3_all.bmp", "phase3/1.bmp")
    made = read_sources([tree]).cells
    made["subject"] = pd.array(["all:merged", None], dtype="string")
    made["split"] = pd.array(["train", None], dtype="string")
    manifest.write(made, tree / name)
    pd.testing.assert_frame_equal(read_sources([tree / name]).cells, made)
    more = pictures(tmp_path / "more", "UID_H1_1_1_hem.bmp")
    assert read_sources([tree / name, more]).cells["label"].isna().tolist() == [False, True, False]


def test_a_manifest_may_lack_the_columns_that_names_can_fill(tmp_path: Path) -> None:
    picture(tmp_path / "UID_H2_3_4_hem.bmp")
    made = table(tmp_path / "m.csv", "path,label,subject", "UID_H2_3_4_hem.bmp,0,H2")
    assert rows(read_sources([made]), "id", "subject", "image", "cell", "fold") == [
        ("UID_H2_3_4_hem.bmp", "hem:2", 3, 4, None)
    ]


# Bad input


def test_a_folder_that_contradicts_the_name_is_a_bad_row(tmp_path: Path) -> None:
    pictures(tmp_path / "set", "fold_0/hem/UID_1_1_1_all.bmp", "fold_0/all/UID_1_1_2_all.bmp")
    reading = read_sources([tmp_path / "set"])
    assert rows(reading, "label") == [(1,)]
    assert reasons(reading) == {
        "fold_0/hem/UID_1_1_1_all.bmp": (
            "the folder hem says normal, the name UID_1_1_1_all.bmp says blast"
        )
    }


def test_names_and_folders_that_contradict_themselves_are_bad_rows(tmp_path: Path) -> None:
    names = ("UID_H1_1_1_all.bmp", "UID_1_1_1_all (1).bmp", "hem/1/x.bmp", "x.bmp")
    reading = read_sources([pictures(tmp_path / "set", *names)])
    bad = reasons(reading)
    assert "contradicts itself" in bad["UID_H1_1_1_all.bmp"]
    assert "is not UID_" in bad["UID_1_1_1_all (1).bmp"]
    assert "contradict one another: hem, 1" in bad["hem/1/x.bmp"]
    assert "unknown label" in bad["x.bmp"]
    assert reading.cells.empty


def test_unreadable_pictures_are_bad_rows(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "all", "good.bmp")
    for suffix in ("bmp", "png", "jpg", "tif"):
        whole = picture(folder / f"cut.{suffix}", size=(64, 64))
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("no picture")
    Image.new("RGB", (4, 4)).save(folder / "gif.png", format="GIF")
    frame = Image.new("L", (4, 4))
    frame.save(folder / "pages.tif", save_all=True, append_images=[frame])
    (folder / "gone.bmp").symlink_to(tmp_path / "nowhere.bmp")
    reading = read_sources([folder])
    assert rows(reading, "id") == [("good.bmp",)]
    bad = reasons(reading)
    assert len(bad) == 9
    assert all("unreadable" in bad[f"cut.{suffix}"] for suffix in ("bmp", "png", "jpg", "tif"))
    assert bad["empty.png"] == "the file is empty"
    assert bad["text.jpg"] == bad["gif.png"] == "not a BMP, PNG, JPEG or TIFF picture"
    assert "several pictures" in bad["pages.tif"]
    assert bad["gone.bmp"].startswith("no such file")


def test_one_error_lists_every_bad_row_of_a_list_by_its_number(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png", "UID_1_1_1_all.png")
    source = table(
        tmp_path / "train.csv",
        "Path,label",
        "a.png,1",
        "gone.png,0",
        "",
        "b.png,cat",
        "c.png,",
        "./a.png,1",
        "UID_1_1_1_all.png,0",
        ",1",
        "b.png,1,extra",
    )
    reading = read_sources([source])
    assert (reading.found, len(reading.cells), len(reading.rejected)) == (8, 1, 7)
    with pytest.raises(BadInputError) as error:
        reading.settle()
    headline, *lines = str(error.value).splitlines()
    assert headline.startswith("7 of 8 cells cannot be used")
    assert [line.removeprefix(f"  {source} ") for line in lines] == [
        f"row 3: gone.png: no such file: {tmp_path / 'gone.png'}",
        "row 5: b.png: unknown label 'cat', expected 0 (normal) or 1 (blast)",
        "row 6: c.png: unknown label '', expected 0 (normal) or 1 (blast)",
        f"row 7: ./a.png: same path as {source} row 2",
        "row 8: UID_1_1_1_all.png: the column label says normal, "
        "the name UID_1_1_1_all.png says blast",
        "row 9: the path is empty",
        "row 10: b.png: 3 values under 2 columns",
    ]


def test_preliminary_labels_and_pictures_must_match(tmp_path: Path) -> None:
    pictures(tmp_path / "set" / "phase2", "1.bmp", "2.bmp", "4.bmp", "5.bmp")
    table(
        tmp_path / "set" / "phase2.csv",
        "Patient_ID,new_names,labels",
        "UID_57_29_1_all.bmp,1.bmp,1",
        "UID_57_29_2_all.bmp,2.bmp,0",
        "UID_57_29_3_all.bmp,3.bmp,1",
        "someone,5.bmp,1",
    )
    reading = read_sources([tmp_path / "set"])
    assert rows(reading, "id") == [("phase2/1.bmp",)]
    bad = reasons(reading)
    assert bad["phase2/2.bmp"].startswith("the column labels says normal")
    assert bad["phase2/3.bmp"].startswith("no such file")
    assert bad["phase2/4.bmp"] == "phase2.csv has no row for this picture"
    assert bad["phase2/5.bmp"] == "Patient_ID 'someone' is no UID file name"
    assert reading.found == 5


def test_preliminary_labels_without_their_pictures_are_missing_cells(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "fold_0" / "all" / "UID_1_1_1_all.bmp")
    table(tmp_path / "set" / "p.csv", "Patient_ID,new_names,labels", "UID_5_1_1_all.bmp,1.bmp,1")
    assert reasons(read_sources([tmp_path / "set"]))["1.bmp"].startswith("no such file")


def test_sources_that_hold_no_cells_are_told_together(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    bad = [
        (empty, "no BMP, PNG, JPEG, TIFF picture"),
        (table(tmp_path / "readme" / "README.txt", "x").parent, "1 other files"),
        (tmp_path / "absent", "no such file or folder"),
        (table(tmp_path / "other.csv", "name,class"), "found name, class"),
        (table(tmp_path / "nothing.csv"), "found none"),
        (table(tmp_path / "header.csv", "Path,label"), "no rows"),
        (table(tmp_path / "latin.csv", "Path", "é.bmp", encoding="latin-1"), "cannot be read"),
        (table(tmp_path / "cells.parquet", "Path"), "cannot be read"),
        (table(tmp_path / "notes.txt", "Path"), "expected a folder or a table"),
    ]
    with pytest.raises(BadInputError) as error:
        read_sources([source for source, _ in bad], root=tmp_path / "nowhere")
    first, *lines = str(error.value).splitlines()
    assert "the root is not a folder" in first
    for (source, complaint), line in zip(bad, lines, strict=True):
        assert line.startswith(f"{source}: ")
        assert complaint in line


# Nothing is lost


def test_skipping_the_bad_writes_them_with_their_reasons(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set", "all/1.bmp", "other/2.bmp")
    reading = read_sources([folder])
    reading.settle(tmp_path / "rejected.csv")
    written = pd.read_csv(tmp_path / "rejected.csv")
    assert written[["source", "row", "id"]].values.tolist() == [[str(folder), 2, "other/2.bmp"]]
    assert written["reason"].str.startswith("unknown label").all()
    assert len(reading.cells) + len(written) == 2
    # A later run that rejects nothing leaves no stale list behind.
    read_sources([folder / "all"]).settle(tmp_path / "rejected.csv")
    assert pd.read_csv(tmp_path / "rejected.csv").empty


def test_skipping_the_bad_is_an_error_when_nothing_is_left(tmp_path: Path) -> None:
    reading = read_sources([table(tmp_path / "train.csv", "Path,label", "gone.bmp,1")])
    with pytest.raises(BadInputError, match="1 of 1 cells"):
        reading.settle(tmp_path / "rejected.csv")
    assert len(pd.read_csv(tmp_path / "rejected.csv")) == 1


def test_a_reading_that_loses_a_cell_cannot_exist(tmp_path: Path) -> None:
    reading = read_sources([pictures(tmp_path / "all", "1.bmp", "2.bmp")])
    with pytest.raises(RuntimeError, match="cells were lost: 2 in, 1 out and 0 rejected"):
        Reading(reading.cells[:1], reading.rejected, 2, Counter(), Counter(), reading.passed_over)


def test_files_that_are_no_pictures_are_counted(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "all", "1.bmp", ".hidden.bmp", "__MACOSX/1.bmp", ".git/2.bmp")
    for name in ("Thumbs.db", "README", "a.csv", "b.csv"):
        (folder / name).touch()
    reading = read_sources([folder])
    assert reading.found == 1
    assert reading.passed_over == Counter({".bmp": 3, ".csv": 2, ".db": 1, "README": 1})
    assert "passed over, no pictures: .bmp (3), .csv (2)" in reading.summary()


def test_linked_folders_are_read_and_loops_end(tmp_path: Path) -> None:
    real = pictures(tmp_path / "disk", "UID_1_1_1_all.bmp")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "fold_1").symlink_to(real)
    (real / "loop").symlink_to(real)
    (tree / "loop").symlink_to(tree)
    assert rows(read_sources([tree]), "id", "fold") == [("fold_1/UID_1_1_1_all.bmp", "fold_1")]
    assert rows(read_sources([tree / "fold_1"]), "fold") == [("fold_1",)]


def test_summary_reads_as_plain_text(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "set", "fold_1/all/UID_1_1_1_all.bmp", "x.bmp")
    text = read_sources([folder]).summary()
    assert f"{folder}: C-NMC training folds, 1 cells" in text
    assert "2 cells in = 1 out + 1 rejected" in text
    assert "image sizes: 6×4 (1)" in text
    assert "fold_1: 1 of 3,581 cells (ALL 1 of 2,418, HEM 0 of 1,163)" in text


def test_real_cells_are_all_read(cnmc: Path) -> None:
    reading = read_sources([cnmc])
    assert reading.rejected.empty
    assert set(reading.sizes) == {(450, 450)}
    assert reading.cells["subject"].notna().all()
    assert (reading.cells["fold"] == "fold_0").any()
