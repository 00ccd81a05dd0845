"""Packing: every byte and every file is kept, in few files, however often it is begun."""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import fs, parquet

from leukoscope.cells import manifest
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.inference import inputs, inventory, shard
from leukoscope.inference.pack import describe, pack
from leukoscope.inference.storage import Place
from objects import objects

SMALL = 30_000
"""Bytes of a shard: a few of the drawn cells."""


@pytest.fixture(scope="module")
def folder(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the drawn cells in two folders, files that cannot be called, one that is none."""
    folder = tmp_path_factory.mktemp("archive")
    for number, path in enumerate(map(Path, cells["path"][::4])):
        place = folder / "deeper" / path.name if number % 2 else folder / path.name
        place.parent.mkdir(exist_ok=True)
        os.link(path, place)
    (folder / "empty.png").write_bytes(b"")
    (folder / "broken.bmp").write_bytes(b"BM")
    (folder / "notes.txt").write_text("of no use", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with objects("ward") as address:
        yield address


def packed(target: Place) -> pd.DataFrame:
    """Return what shards hold, in order."""
    shards = [place for place, _ in target.files_below() if place.path.endswith(".parquet")]
    return pd.concat(
        [parquet.ParquetFile(place.opened()).read().to_pandas() for place in shards],
        ignore_index=True,
    )


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def test_every_file_is_a_row_with_its_own_bytes(folder: Path, tmp_path: Path) -> None:
    target = Place.of(str(tmp_path / "packed"))
    done = pack([str(folder)], target, SMALL)
    table = packed(target)
    files = [cell.path for cell in inputs.find([folder]).cells]
    assert table["path"].tolist() == [str(path) for path in files]
    assert table["content"].tolist() == [Path(str(path)).read_bytes() for path in files]
    assert set(table["subject"].dropna()) >= {"all:1", "hem:1"}
    assert done.whole.shards > 3
    assert f"{len(files)} pictures in {done.whole.shards} shards" in describe(done, target)
    assert "1 other files are no pictures" in describe(done, target)


def test_what_cannot_be_read_is_a_row_that_says_why(cells: pd.DataFrame, tmp_path: Path) -> None:
    some = cells.iloc[:3].copy()
    some.loc[1, "path"] = str(tmp_path / "gone.bmp")
    manifest.write(some, tmp_path / "some.csv")
    target = Place.of(str(tmp_path / "packed"))
    done = pack([str(tmp_path / "some.csv")], target, SMALL, allow_outside=True)
    assert done.whole.unread == 1
    assert "1 cannot be read" in describe(done, target)
    table = packed(target)
    assert table["reason"].fillna("").tolist() == ["", "no such file", ""]
    assert table["content"].isna().tolist() == [False, True, False]
    assert table["subject"].tolist() == some["subject"].tolist()


def test_it_goes_on_behind_the_shards_that_are_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    pack([str(folder)], Place.of(str(whole)), SMALL)
    written = shard.write

    def interrupted(*given: object) -> shard.About:
        about = written(*given)  # type: ignore[arg-type]
        if (broken / "shard-000001.parquet").exists():
            raise KeyboardInterrupt
        return about

    monkeypatch.setattr(shard, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack([str(folder)], Place.of(str(broken)), SMALL)
    assert {path.name for path in broken.iterdir()} == {
        "shard-000000.parquet",
        "shard-000001.parquet",
    }
    monkeypatch.undo()
    before = times(broken)
    done = pack([str(folder)], Place.of(str(broken)), SMALL)
    assert done.before == 2
    assert before.items() <= times(broken).items()
    names = sorted(path.name for path in whole.iterdir())
    assert sorted(path.name for path in broken.iterdir()) == names
    assert all((whole / name).read_bytes() == (broken / name).read_bytes() for name in names)


def test_another_subject_is_another_picture(cells: pd.DataFrame, tmp_path: Path) -> None:
    some, target = cells.iloc[:3].copy(), Place.of(str(tmp_path / "packed"))
    manifest.write(some, tmp_path / "some.csv")
    pack([str(tmp_path / "some.csv")], target, SMALL, allow_outside=True)
    some.loc[0, "subject"] = "all:99"
    manifest.write(some, tmp_path / "some.csv")
    with pytest.raises(BadInputError, match=r"shard-000000\.parquet holds other pictures"):
        pack([str(tmp_path / "some.csv")], target, SMALL, allow_outside=True)


def test_shards_are_what_was_packed_or_are_not_read(folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    shards = pack([str(folder)], Place.of(str(packed)), SMALL).whole.shards
    last = packed / f"shard-{shards - 1:06}.parquet"
    content = last.read_bytes()
    last.unlink()
    with pytest.raises(BadInputError, match=f"holds {shards - 1} of {shards} shards"):
        inputs.find([packed])
    last.write_bytes(content)
    inputs.find([packed])
    (packed / f"shard-{shards:06}.parquet").write_bytes(content)  # as of an interrupted one
    with pytest.raises(BadInputError, match="packing more into it was not finished"):
        inputs.find([packed])
    (packed / inputs.PACKED).write_text('{"shards": "many"}', encoding="utf-8")
    with pytest.raises(BadInputError, match="not what this version reads"):
        inputs.find([packed])


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes there")
def test_a_name_need_not_be_utf_8(cells: pd.DataFrame, tmp_path: Path) -> None:
    cell = Path(cells["path"][0])
    odd = tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"z\xe9ro.bmp")
    odd.parent.mkdir()
    os.link(cell, odd)
    packing = pack([str(tmp_path)], Place.of(str(odd.parent / "packed")), SMALL)
    table = packed(Place.of(str(odd.parent / "packed")))
    assert packing.whole.unread == 0
    assert table["path"].tolist() == [f"{tmp_path}/caf\\xe9/z\\xe9ro.bmp"]
    assert table["content"].tolist() == [cell.read_bytes()]
    with pytest.raises(BadInputError, match=r"caf\\xe9/gone: no such file"):
        Place.of(str(odd.parent / "gone")).size()


def test_a_file_is_whole_or_absent_where_stores_are_none_of_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place.of("memory://half/one.txt")
    place.write(b"one")
    place.write(b"another")
    assert place.read() == b"another"
    assert [below.path for below, _ in Place.of("memory://half").files_below()] == [place.path]

    def broken(_: str, half: str, __: object, files: fs.FileSystem) -> None:
        with files.open_output_stream(half) as file:
            file.write(b"ha")
        raise OSError("the line is down")

    monkeypatch.setattr(fs, "copy_files", broken)
    with pytest.raises(LeukoscopeError, match="the line is down"):
        place.write(b"half")
    assert place.read() == b"another"
    place.remove()
    assert not place.exists()
    place.remove()


def test_the_end_of_a_shard_is_read_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.of(str(tmp_path / "packed"))
    pack([str(folder)], place, 10**9)
    opened = []
    native = Place.opened
    monkeypatch.setattr(Place, "opened", lambda self: opened.append(self) or native(self))
    for picture, _ in shard.Reader(1).pictures(place.below("shard-000000.parquet")):
        picture.fetch()
    assert len(opened) == 1


def test_other_pictures_than_before_are_refused(folder: Path, tmp_path: Path) -> None:
    target = Place.of(str(tmp_path / "packed"))
    pack([str(folder)], target, SMALL)
    with pytest.raises(BadInputError, match=r"shard-000000\.parquet holds other pictures"):
        pack([str(folder / "deeper")], target, SMALL)
    (tmp_path / "packed" / "shard-000001.parquet").unlink()
    with pytest.raises(BadInputError, match=r"shard-\d+\.parquet or one before it is missing"):
        pack([str(folder)], target, SMALL)


def test_stores_of_objects_are_sources_and_targets(
    folder: Path, bucket: str, tmp_path: Path
) -> None:
    """Up to S3 as files, from there packed into S3 and into a file system of fsspec's."""
    pack([str(folder)], Place.of(str(tmp_path / "here")), SMALL)
    here = packed(Place.of(str(tmp_path / "here")))
    for path in folder.rglob("*.*"):
        name = path.relative_to(folder).as_posix()
        Place.of(f"{bucket}/raw/{name}").write(path.read_bytes())
    for address in (f"{bucket}/packed", "memory://packed"):
        pack([f"{bucket}/raw"], Place.of(address), SMALL)
        there = packed(Place.of(address))
        assert there["content"].tolist() == here["content"].tolist()
        assert there["subject"].tolist() == here["subject"].tolist()
        names = [path.removeprefix(str(folder)) for path in here["path"]]
        assert there["path"].tolist() == [f"{bucket}/raw{name}" for name in names]


def test_an_address_may_name_the_server_and_is_not_told(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    for variable in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    options = f"?endpoint_override={server}&scheme=http"
    place = Place.of(f"s3://key:secret@{bucket.removeprefix('s3://')}/one.txt{options}")
    place.write(b"one")
    assert place.read() == b"one"
    assert place.name == f"{bucket}/one.txt"


def test_a_store_that_does_not_answer_is_no_fault_of_the_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = Place.of(str(tmp_path / "one.bmp"))
    place.write(b"BM")

    def silent(*_: object) -> None:
        raise OSError("AWS Error NETWORK_CONNECTION")

    monkeypatch.setattr(Place, "opened", silent)
    assert inventory.fetched(place, "one").reason == "AWS Error NETWORK_CONNECTION"
    monkeypatch.setattr(Place, "exists", lambda _: place.size() and silent())
    with pytest.raises(OSError, match="NETWORK"):
        inventory.fetched(place, "one")
    with pytest.raises(LeukoscopeError, match="no such file"):
        Place.of("memory://gone").size()


def test_an_address_of_no_known_file_system_is_refused() -> None:
    with pytest.raises(BadInputError, match="nothing://x"):
        Place.of("nothing://x/y")
    with pytest.raises(BadInputError, match="--engine ray"):
        inputs.here("s3://hospital/cells")


def test_a_manifest_is_of_this_machine(tmp_path: Path) -> None:
    Place.of("memory://cells.csv").write(b"path")
    with pytest.raises(BadInputError, match="manifests are read from this machine"):
        pack(["memory://cells.csv"], Place.of(str(tmp_path / "packed")), SMALL)


def test_a_shard_is_held_a_row_group_at_a_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "GROUP", 150_000)
    place = Place.of(str(tmp_path / "packed"))
    pack([str(folder)], place, 10**9)
    file = parquet.ParquetFile(tmp_path / "packed" / "shard-000000.parquet")
    rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert len(rows) > 3
    assert max(rows) <= 5  # two of which are nearly empty
    fetched = [
        picture.fetch()
        for picture, _ in shard.Reader(1).pictures(place.below("shard-000000.parquet"))
    ]
    assert [upload.content for upload in fetched] == packed(place)["content"].tolist()


def test_a_damaged_shard_is_told(folder: Path, tmp_path: Path) -> None:
    place = Place.of(str(tmp_path / "packed"))
    pack([str(folder)], place, SMALL)
    path = tmp_path / "packed" / "shard-000000.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInputError, match=r"shard-000000\.parquet: no whole Parquet file"):
        inputs.find([path])
    parquet.write_table(pa.table({"path": ["x"]}), tmp_path / "other.parquet")
    with pytest.raises(BadInputError, match="no packed pictures"):
        list(shard.Reader(1).pictures(Place.of(str(tmp_path / "other.parquet"))))


def test_a_bit_of_what_a_shard_says_of_itself_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "GROUP", 2)
    path = tmp_path / "shard.parquet"
    rows = [shard.Row(f"{name}.bmp", None, name.encode(), None, 1) for name in "abcde"]
    shard.write(iter(rows), path, most=10**9)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in range(footer, len(whole) - 8):
        for bit in range(3):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with suppress(LeukoscopeError):
                for picture, _ in shard.Reader(1).pictures(Place.of(str(path))):
                    picture.fetch()
