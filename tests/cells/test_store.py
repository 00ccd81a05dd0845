"""The store: what goes in comes out, row by row; what is wrong is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukoscope.cells.division import Division
from leukoscope.cells.export import export_images
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.prepare import prepare
from leukoscope.cells.preprocess import preprocess
from leukoscope.cells.store import Store, describe
from leukoscope.cells.subset import Subset
from leukoscope.errors import BadInputError

LAB = Division(split="lab", plan="lab")
PLANNED = Division(plan="lab")


def test_row_i_describes_pixel_block_i(store: Store, cells: pd.DataFrame) -> None:
    assert store.pixels.shape == (72, 32, 32, 3)
    assert store.cells["id"].tolist() == cells["id"].tolist()
    for row in (0, 17, 71):
        expected = preprocess(read_picture(Path(cells["path"][row])), store.info.preprocessing)
        assert np.array_equal(store.pixels[row], expected)


def test_moments_are_those_of_the_training_pixels(store: Store) -> None:
    pixels = store.pixels[store.rows("train")].reshape(-1, 3) / 255
    assert store.info.mean == pytest.approx(pixels.mean(0))
    assert store.info.std == pytest.approx(pixels.std(0))


def test_at_least_99_percent_are_whole_and_the_rest_is_reported(store: Store) -> None:
    assert store.cells["whole"].mean() >= 0.99
    assert f"{(~store.cells['whole']).sum()} cells are larger" in describe(store)


def test_the_same_call_makes_the_same_store(cells: pd.DataFrame, tmp_path: Path) -> None:
    first, second = (prepare(cells, tmp_path / name, size=32, division=PLANNED) for name in "ab")
    assert first.digest == second.digest
    assert set(first.info.digests) == {"pixels.npy", "cells.parquet", "plan.parquet"}


def test_lab_plan_is_trained_on(cells: pd.DataFrame, tmp_path: Path) -> None:
    made = prepare(cells, tmp_path / "store", size=32, division=LAB)
    rows, turns = made.training_plan()
    train = made.cells[made.cells["split"] == "train"]
    assert len(rows) == 2 * (len(train) + (train["label"] == 0).sum())
    assert turns is not None
    assert "say little about new patients" in describe(made)


def test_divided_otherwise_is_as_prepared_otherwise(
    store: Store, cells: pd.DataFrame, tmp_path: Path
) -> None:
    made, divided = prepare(cells, tmp_path / "store", size=32, division=LAB), store.divided(LAB)
    assert divided.info.division == LAB
    assert divided.cells["split"].equals(made.cells["split"])
    assert (divided.info.mean, divided.info.std) == (made.info.mean, made.info.std)
    for ours, theirs in zip(divided.training_plan(), made.training_plan(), strict=True):
        assert np.array_equal(ours, theirs)
    assert divided.digest == store.digest
    assert divided.divided(store.info.division).cells.equals(store.cells)


def test_each_fold_tests_other_people(store: Store) -> None:
    folds = [store.divided(Division(fold=fold)) for fold in range(5)]
    tested = [set(fold.cells.loc[fold.rows("test"), "person"]) for fold in folds]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 12
    assert len({fold.info.mean for fold in folds}) == 5
    without = replace(store, cells=store.cells.assign(part=pd.NA))
    with pytest.raises(BadInputError, match="prepare it with --split subject"):
        without.divided(Division(fold=1))


def test_a_subset_leaves_the_others_aside(store: Store) -> None:
    half = store.divided(Division(subset=Subset(of="people", share=0.5)))
    trained = half.cells.loc[half.rows("train"), "person"].nunique()
    assert 0 < trained < store.cells.loc[store.rows("train"), "person"].nunique()
    for split in ("validation", "test"):
        assert np.array_equal(half.rows(split), store.rows(split))
    assert half.info.mean != store.info.mean
    assert half.divided(store.info.division).cells.equals(store.cells)


def test_export_writes_each_planned_picture(cells: pd.DataFrame, tmp_path: Path) -> None:
    made = prepare(cells, tmp_path / "store", size=32, division=PLANNED)
    written = export_images(made, tmp_path / "png")
    files = list((tmp_path / "png").rglob("*.png"))
    copies = (made.cells["split"] == "validation").sum()
    others = made.cells["split"].isin(["validation", "test"]).sum()
    assert len(files) == written == len(made.training_plan()[0]) + copies + others
    turned = next(path for path in files if path.stem.endswith("-flip-r90"))
    row = int(turned.name[:6])
    expected = Image.fromarray(made.pixels[row]).rotate(90)
    expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert np.array_equal(np.asarray(Image.open(turned)), np.asarray(expected))


def test_names_that_share_a_cell_stay_together(
    store: Store, cells: pd.DataFrame, tmp_path: Path
) -> None:
    """One picture of each class's subject 1 is given to that class's subject of another part."""
    shared, joint = cells.copy(), []
    for kind in ("hem", "all"):
        (one,) = store.cells.loc[store.cells["subject"] == f"{kind}:1", "part"].unique()
        elsewhere = store.cells["subject"].str.startswith(kind) & (store.cells["part"] != one)
        other = store.cells.loc[elsewhere, "subject"].iloc[0]
        given, taken = (cells.index[cells["subject"] == name][0] for name in (f"{kind}:1", other))
        picture = Image.open(cells["path"][given]).transpose(Image.Transpose.ROTATE_90)
        shared.loc[taken, "path"] = str(tmp_path / f"{kind}.bmp")
        picture.save(shared["path"][taken])
        joint.append("=".join(sorted((f"{kind}:1", other))))
    made = prepare(shared, tmp_path / "store", size=32)
    for person in joint:
        rows = made.cells["person"] == person
        assert set(made.cells.loc[rows, "subject"]) == set(person.split("="))
        assert made.cells.loc[rows, "part"].nunique() == 1
    told = describe(made)
    assert f"one person under several names, by their cells: {', '.join(sorted(joint))}" in told
    assert "none of the 10 people stands on two sides" in told


def test_every_unreadable_picture_is_listed_and_no_store_is_left(
    cells: pd.DataFrame, tmp_path: Path
) -> None:
    broken = cells.copy()
    for row in (3, 40):
        broken.loc[row, "path"] = str(tmp_path / f"gone-{row}.bmp")
    with pytest.raises(BadInputError, match=r"(?s)2 pictures.*row 4: .*gone-3.*row 41: .*gone-40"):
        prepare(broken, tmp_path / "store", size=32)
    with pytest.raises(BadInputError, match="is no store"):
        Store.open(tmp_path / "store")


def test_black_pictures_do_not_widen_the_window(
    store: Store, cells: pd.DataFrame, tmp_path: Path
) -> None:
    Image.new("RGB", (400, 400)).save(tmp_path / "black.png")
    black = cells["path"].where(cells.index % 6 > 0, str(tmp_path / "black.png"))
    made = prepare(cells.assign(path=black), tmp_path / "store", size=32)
    assert 0 < (made.info.preprocessing.window or 0) <= (store.info.preprocessing.window or 0)
    nothing = cells.assign(path=str(tmp_path / "black.png"))
    with pytest.raises(BadInputError, match="every picture is black"):
        prepare(nothing, tmp_path / "none", size=32, division=Division(split="lab"))


def test_a_store_is_never_overwritten(store: Store, cells: pd.DataFrame) -> None:
    with pytest.raises(BadInputError, match="already holds a store"):
        prepare(cells, store.folder, size=32)


def test_a_size_that_halves_badly_is_refused(cells: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="multiple of 32"):
        prepare(cells, tmp_path / "store", size=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_copies": True}, "belong to --plan lab"),
        ({"split": "lab", "fold": 1}, "belong to --split subject"),
    ],
)
def test_divisions_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        Division(**options)


def test_a_damaged_store_is_refused(cells: pd.DataFrame, tmp_path: Path) -> None:
    made = prepare(cells, tmp_path / "store", size=32)
    info = json.loads((made.folder / "store.json").read_text())
    (made.folder / "store.json").write_text(json.dumps({**info, "cells": 71}))
    with pytest.raises(BadInputError, match="71 cells"):
        Store.open(made.folder)
    (made.folder / "pixels.npy").unlink()
    with pytest.raises(BadInputError, match=r"pixels\.npy is missing"):
        Store.open(made.folder)


def test_pixels_that_are_python_objects_are_not_loaded(cells: pd.DataFrame, tmp_path: Path) -> None:
    made = prepare(cells, tmp_path / "store", size=32)
    np.save(made.folder / "pixels.npy", np.array([{"runs": "code"}], dtype=object))
    with pytest.raises(BadInputError, match="the store cannot be read"):
        Store.open(made.folder)


def test_a_damaged_description_of_the_pixels_is_refused(
    cells: pd.DataFrame, tmp_path: Path
) -> None:
    made = prepare(cells, tmp_path / "store", size=32)
    content = (made.folder / "pixels.npy").read_bytes()
    (made.folder / "pixels.npy").write_bytes(content[:20] + bytes(5) + content[25:])
    with pytest.raises(BadInputError, match="the store cannot be read"):
        Store.open(made.folder)


@pytest.mark.parametrize("name", ["pixels.npy", "cells.parquet", "plan.parquet"])
def test_a_flipped_bit_of_any_file_is_found_and_named(
    cells: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    made = prepare(cells, tmp_path / "store", size=32, division=LAB)
    made.verify()
    content = bytearray((made.folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    (made.folder / name).write_bytes(content)
    with pytest.raises(BadInputError, match=f"{name} is damaged"):
        made.verify()
    (made.folder / name).unlink()
    with pytest.raises(BadInputError, match=f"{name}: cannot be read"):
        made.verify()


def test_phantom_cells_mark_their_store(cells: pd.DataFrame, tmp_path: Path, store: Store) -> None:
    assert not store.info.phantom
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "PHANTOM.txt").touch()
    moved = cells.copy()
    for row, path in enumerate(cells["path"]):
        target = tree / "deep" / Path(path).name
        target.write_bytes(Path(path).read_bytes())
        moved.loc[row, "path"] = str(target)
    assert prepare(moved, tmp_path / "store", size=32).info.phantom
