"""Fetching: whole or said not to be, nothing twice, and by hand where there is no network."""

import shutil
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from leukoscope.cells import cnmc, fetch, manifest
from leukoscope.cells.huggingface import unpack
from leukoscope.cells.sources import read_sources
from leukoscope.errors import BadInputError

Download = Callable[..., None]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The tree that Kaggle serves, of two cells a fold."""
    return write_tree(tmp_path / "served")


def write_tree(folder: Path) -> Path:
    number = 0
    for fold in range(3):
        for kind, prefix in (("all", ""), ("hem", "H")):
            number += 1
            place = folder / "C-NMC_Leukemia" / "training_data" / f"fold_{fold}" / kind
            place.mkdir(parents=True)
            picture = Image.new("RGB", (20, 20), (20 * number, 80, 120))
            picture.save(place / f"UID_{prefix}{number}_1_1_{kind}.bmp")
    return folder


def write_shards(pictures: list[Path], folder: Path) -> list[Path]:
    """Shards with the columns that Hugging Face serves."""
    rows = [
        {
            "image": {"bytes": path.read_bytes(), "path": None},
            "label": path.parent.name,
            "subject_id": path.name.split("_")[1],
            "fold": path.parent.parent.name.removeprefix("fold_"),
            "original_image_name": path.name,
        }
        for path in pictures
    ]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, start in enumerate(range(0, len(rows), 4)):
        made.append(folder / f"train-{number:05}.parquet")
        pd.DataFrame(rows[start : start + 4]).to_parquet(made[-1])
    return made


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a cell of each class be all that was published of a fold."""
    parts = tuple(cnmc.Part(f"fold_{k}", f"fold_{k}", rf"fold_{k}", 2, 1, 1) for k in range(3))
    monkeypatch.setattr(cnmc, "FOLDS", parts)


def served(monkeypatch: pytest.MonkeyPatch, download: Download) -> list[str]:
    """Let both libraries download by `download`; return who was asked."""
    asked: list[str] = []

    def kaggle(_handle: str) -> str:
        asked.append("kaggle")
        cache = Path(tempfile.mkdtemp())
        download(cache)
        return str(cache)

    def huggingface(_name: str, local_dir: Path, **_: object) -> None:
        asked.append("huggingface")
        download(local_dir)

    monkeypatch.setattr("kagglehub.dataset_download", kaggle)
    monkeypatch.setattr("huggingface_hub.snapshot_download", huggingface)
    return asked


@pytest.mark.usefixtures("published")
def test_both_sources_end_in_the_same_cells(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = sorted(tree.rglob("*.bmp"))
    found = {}
    for source, download in (
        ("kaggle", lambda folder: shutil.copytree(tree, folder, dirs_exist_ok=True)),
        ("huggingface", lambda folder: write_shards(pictures, folder)),
    ):
        asked = served(monkeypatch, download)
        for _ in range(2):  # the second time it is there
            fetch.fetch(tmp_path / source, source)
        assert asked == [source]
        cells = manifest.read(tmp_path / source / "cells.csv").sort_values("path")
        found[source] = cells[["label", "subject", "image", "cell", "fold"]].to_numpy().tolist()
        assert len(cells) == 6
    assert found["kaggle"] == found["huggingface"]


@pytest.mark.usefixtures("published")
def test_an_interrupted_download_goes_on(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tree, tmp_path / "half")
    for lost in list(folder.rglob("fold_2/*/*")):
        lost.unlink()
    asked = served(monkeypatch, lambda cache: shutil.copytree(tree, cache, dirs_exist_ok=True))
    fetch.fetch(folder, "kaggle")
    assert asked == ["kaggle"]
    assert len(manifest.read(folder / "cells.csv")) == 6


@pytest.mark.usefixtures("published")
def test_a_copy_that_was_stopped_is_made_again_though_all_names_are_there(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cells"
    served(monkeypatch, lambda cache: shutil.copytree(tree, cache, dirs_exist_ok=True))

    def copytree(source: str, target: Path, **options: Any) -> None:
        shutil.copytree(source, target, **options)
        next(target.rglob("*.bmp")).write_bytes(b"BM")
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(fetch, "shutil", SimpleNamespace(copytree=copytree))
        with pytest.raises(KeyboardInterrupt):
            fetch.fetch(folder, "kaggle")
    fetch.fetch(folder, "kaggle")
    for picture in tree.rglob("*.bmp"):
        assert (folder / picture.relative_to(tree)).read_bytes() == picture.read_bytes()


@pytest.mark.usefixtures("published")
def test_what_lies_there_by_hand_is_taken(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = served(monkeypatch, lambda _: None)
    fetch.fetch(tree, "huggingface")
    write_shards(sorted(tree.rglob("*.bmp")), tmp_path / "other" / "shards")
    fetch.fetch(tmp_path / "other", "kaggle")
    assert asked == []


@pytest.mark.usefixtures("published")
def test_a_part_is_said_to_be_one(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch, lambda _: None)
    next(tree.rglob("UID_H4*")).unlink()
    with pytest.raises(BadInputError, match=r"(?s)not hold the whole training set.*fold_1: 1 of 2"):
        fetch.fetch(tree, "kaggle")
    assert len(manifest.read(tree / "cells.csv")) == 5


@pytest.mark.parametrize("source", ["kaggle", "huggingface"])
def test_without_a_network_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: fetch.Source
) -> None:
    def fail(_: Path) -> None:
        raise ConnectionError("no route")

    served(monkeypatch, fail)
    with pytest.raises(fetch.Unreachable, match="no route") as caught:
        fetch.fetch(tmp_path / "new", source)
    said = str(caught.value)
    assert "andrewmvd/leukemia-classification" in said
    assert f"put its Parquet files into {tmp_path / 'new'}/shards" in said


def test_unpacking_goes_on_where_it_stopped(tree: Path, tmp_path: Path) -> None:
    pictures = sorted(tree.rglob("*.bmp"))
    shards = write_shards(pictures, tmp_path / "shards")
    folder = tmp_path / "out"
    assert unpack(shards, folder) == 6
    for path in pictures:
        target = folder / path.parent.parent.name / path.parent.name / path.name
        assert target.read_bytes() == path.read_bytes()
    kept, lost = sorted(folder.rglob("*.bmp"))[:2]
    kept_at = kept.stat().st_mtime_ns
    lost.write_bytes(b"half")
    unpack(shards, folder)
    assert kept.stat().st_mtime_ns == kept_at
    assert lost.stat().st_size == pictures[1].stat().st_size


def picture_bytes() -> bytes:
    with BytesIO() as file:
        Image.new("RGB", (4, 4)).save(file, format="PNG")
        return file.getvalue()


GOOD = {
    "image": {"bytes": picture_bytes(), "path": None},
    "fold": "fold_0",
    "original_image_name": "UID_1_1_1_all.bmp",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"original_image_name": "cell.bmp"}, "row 1: .* no name of C-NMC"),
        ({"original_image_name": "UID_1_1_1_all (1).bmp"}, "row 1: the name"),
        ({"fold": "7"}, "row 1: fold '7' is none of"),
        ({"image": {"bytes": b"no picture", "path": None}}, "row 1: image is no picture"),
        ({"image": {"bytes": None, "path": "x.bmp"}}, "row 1: image holds no bytes"),
    ],
)
def test_a_row_that_is_no_cell_is_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    shard = tmp_path / "bad.parquet"
    pd.DataFrame([GOOD | change]).to_parquet(shard)
    with pytest.raises(BadInputError, match=message):
        unpack([shard], tmp_path / "out")


def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    shard = tmp_path / "shard.parquet"
    names = ["../../../UID_1_1_1_all.bmp", "C:\\x\\UID_1_1_2_all.bmp"]
    pd.DataFrame([GOOD | {"original_image_name": name} for name in names]).to_parquet(shard)
    unpack([shard], tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out") for path in tmp_path.rglob("UID*"))
    assert [str(path) for path in found] == [
        "fold_0/all/UID_1_1_1_all.png",
        "fold_0/all/UID_1_1_2_all.png",
    ]


def test_a_file_that_is_no_shard_is_named(tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.parquet", tmp_path / "other.parquet"
    broken.write_bytes(b"PAR1")
    pd.DataFrame({"fold": [1]}).to_parquet(other)
    with pytest.raises(BadInputError, match=r"broken\.parquet: no whole Parquet file"):
        unpack([broken], tmp_path)
    with pytest.raises(BadInputError, match="no column image, original_image_name; it has fold"):
        unpack([other], tmp_path)


def test_real_cells_come_out_of_shards_as_they_went_in(cnmc: Path, tmp_path: Path) -> None:
    cells = read_sources([cnmc]).cells
    some = cells[cells["fold"].notna()].groupby(["fold", "label"]).head(2)
    rows = [
        GOOD
        | {
            "image": {"bytes": Path(path).read_bytes(), "path": None},
            "fold": fold,
            "original_image_name": Path(path).name,
        }
        for path, fold in zip(some["path"], some["fold"], strict=True)
    ]
    shard = tmp_path / "real.parquet"
    pd.DataFrame(rows).to_parquet(shard)
    unpack([shard], tmp_path / "out")
    again = read_sources([tmp_path / "out"]).cells
    columns = ["subject", "image", "cell", "label", "fold"]
    ours, theirs = (
        table[columns].sort_values(columns).astype(str).to_numpy().tolist()
        for table in (some, again)
    )
    assert ours == theirs
