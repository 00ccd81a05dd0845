"""An archive, called by a cluster: as by one process, each cell once, whatever dies meanwhile."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import dataset, parquet

from leukoscope.cells import manifest
from leukoscope.cli import app
from leukoscope.errors import BadInputError, LeukoscopeError
from leukoscope.inference import archive, inputs
from leukoscope.inference.archive import Caller
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.inventory import files
from leukoscope.inference.model import Model
from leukoscope.inference.pack import pack
from leukoscope.inference.part import FINISHED, Part, plan, prefix_of
from leukoscope.inference.storage import Place
from objects import nodes, objects

SMALL = 60_000
"""Bytes of a shard: a few of the drawn cells."""


def glare(path: Path) -> None:
    """Write a picture that lies beyond the integers, for floating point to compute."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture(scope="module")
def folder(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of 12 subjects, one of nobody's, one that cannot be read, and glare."""
    folder = tmp_path_factory.mktemp("archive")
    for path in map(Path, cells["path"]):
        os.link(path, folder / path.name)
    os.link(cells["path"][0], folder / "nobody.bmp")
    (folder / "broken.bmp").write_bytes(b"BM")
    glare(folder / "glare.png")
    return folder


@pytest.fixture(scope="module")
def few(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    for path in map(Path, cells["path"][::9]):
        os.link(path, folder / path.name)
    glare(folder / "glare.png")
    return folder


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with objects("hospital") as address:
        yield address


@pytest.fixture(scope="module")
def cluster(bucket: str) -> Iterator[Any]:
    """Two nodes of one core, which know of the bucket; the last test that takes them kills one."""
    with nodes(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def expected(bundle: Bundle, few: Path) -> pd.DataFrame:
    """What one process says of `few`."""
    return locally(bundle, few)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do what a cluster does."""

    def called(
        bundle: Bundle, parts: list[Part], target: Place, by: archive.By, _: str | None
    ) -> Iterator[tuple[str, dict[str, int], str]]:
        monkeypatch.setattr("ray.get", lambda sent: sent)
        sent = archive.needed(bundle, by.engine)
        caller = Caller(sent, by, target.address, target.path)
        yield from (caller.counted(part) for part in parts)

    monkeypatch.setattr(archive, "_called", called)


def locally(bundle: Bundle, source: Path, engine: Any = "int8") -> pd.DataFrame:
    cells = inputs.find([source], allow_outside=True).cells
    paths, subjects = [cell.path for cell in cells], [cell.subject for cell in cells]
    return Model(bundle, engine, 1).predict(paths, subjects)


def read(target: Place) -> pd.DataFrame:
    """Return all calls below `target`, as a reader of them would, and in which folder each lies."""
    prefix = pa.schema([("subject_prefix", pa.string())])
    found = dataset.dataset(
        target.path,
        filesystem=target.files,
        format="parquet",
        partitioning=dataset.partitioning(prefix, flavor="hive"),
    )
    return found.to_table().to_pandas().sort_values("path", ignore_index=True)


def assert_alike(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Hold calls against the local engine's: row by row, each picture once."""
    expected = expected.sort_values("path", ignore_index=True)
    assert found["path"].tolist() == expected["path"].tolist()
    assert found["subject_prefix"].tolist() == [prefix_of(who) for who in expected["subject"]]
    pd.testing.assert_frame_equal(
        found[list(expected)], expected, check_dtype=False, rtol=0, atol=1e-6
    )


def finished(target: Place) -> list[str]:
    if not target.below(FINISHED).exists():
        return []
    return [place.path for place, _ in target.below(FINISHED).files_below()]


def written(target: Place) -> dict[str, Any]:
    return {
        place.path: place.files.get_file_info(place.path).mtime for place, _ in target.files_below()
    }


@pytest.mark.cluster
def test_a_part_over_which_processes_end_is_told_and_all_others_are_called(
    bundle: Bundle, few: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = pack([str(few)], Place.of(str(tmp_path / "packed")), SMALL).whole.shards

    class Poisoned(Caller):
        def counted(self, part: Part) -> tuple[str, dict[str, int], str]:
            if part.name.startswith("shard-000001"):
                os._exit(1)
            return super().counted(part)

    monkeypatch.setattr(archive, "Caller", Poisoned)
    monkeypatch.setattr(archive, "TRIES", 2)
    target = Place.of(str(tmp_path / "calls"))
    with pytest.raises(LeukoscopeError, match=r"(?s)1 of \d+ parts.*shard-000001\.parquet: 2 pro"):
        archive.predict(bundle, [str(tmp_path / "packed")], target, None, cluster.address)
    assert len(finished(target)) == shards - 1


@pytest.mark.cluster
def test_nothing_is_lost_or_doubled_when_a_node_dies(
    bundle: Bundle,
    folder: Path,
    bucket: str,
    cluster: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In S3, on two nodes, one of which is killed over a part."""
    shards = pack([str(folder)], Place.of(f"{bucket}/packed"), SMALL).whole.shards
    target, died, over = Place.of(f"{bucket}/calls"), tmp_path / "died", Event()

    class Waiting(Caller):
        """Is with its third part when the node dies: before it, or before it says that it is."""

        seen = 0

        def counted(self, part: Part) -> tuple[str, dict[str, int], str]:
            self.seen += 1
            said = super().counted(part) if self.seen < 3 or part.name[-1] in "02468ace" else None
            while self.seen > 2 and not died.exists():
                time.sleep(0.05)
            return said or super().counted(part)

    def kill() -> int:
        """Kill a node that has an actor once parts are finished; return how many are then."""
        while len(finished(target)) < 3 or not (at := working(cluster)):
            assert not over.is_set(), "it was done before"
            time.sleep(0.05)
        cluster.remove_node(at[0], allow_graceful=False)
        died.touch()
        return len(finished(target))

    monkeypatch.setattr(archive, "Caller", Waiting)
    with ThreadPoolExecutor(1) as pool:
        killer = pool.submit(kill)
        try:
            told = archive.predict(bundle, [f"{bucket}/packed"], target, None, cluster.address)
        finally:
            over.set()
        assert killer.result() < shards
    expected = locally(bundle, folder)
    assert_alike(read(target), expected)
    assert f"{len(expected):,} pictures" in told
    assert "1 cannot be read" in told


def working(cluster: Any) -> list[Any]:
    """Return the nodes on which actors live that call, as the cluster sees it."""
    from ray._private.state import actors

    at = {
        actor["Address"]["NodeID"]
        for actor in actors().values()
        if actor["State"] == "ALIVE" and "Waiting" in actor["ActorClassName"]
    }
    return [node for node in cluster.worker_nodes if node.node_id in at]


def test_pictures_that_are_not_packed_are_called_where_they_lie(
    bundle: Bundle,
    few: Path,
    bucket: str,
    here: None,
    expected: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("leukoscope.inference.part.PICTURES", 3)
    for path in few.iterdir():
        Place.of(f"{bucket}/raw/{path.name}").write(path.read_bytes())
    target = Place.of(f"{bucket}/raw-calls")
    archive.predict(bundle, [f"{bucket}/raw"], target, None, None)
    there = [f"{bucket}/raw/{Path(path).name}" for path in expected["path"]]
    assert_alike(read(target), expected.assign(path=there))
    assert len(finished(target)) == 3


def test_only_what_is_missing_is_called_again(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    shards = pack([str(few)], Place.of(str(tmp_path / "packed")), SMALL // 2).whole.shards
    target = Place.of(str(tmp_path / "calls"))
    archive.predict(bundle, [str(tmp_path / "packed")], target, None, None)
    missing = finished(target)[1]
    Path(missing).unlink()
    before = written(target)
    told = archive.predict(bundle, [str(tmp_path / "packed")], target, None, None)
    changed = {path for path, when in written(target).items() if before.get(path) != when}
    assert {Path(path).stem for path in changed} == {Path(missing).stem, archive.SUCCESS}
    assert f"{shards - 1:,} of {shards:,} parts were called before" in told
    assert_alike(read(target), expected)


def test_a_part_called_again_takes_its_own_place(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    """As when a machine dies after its calls are written, and before it can say so."""
    target = Place.of(str(tmp_path / "calls"))
    archive.predict(bundle, [str(few)], target, None, None)
    before = sorted(path for path in written(target))
    for path in finished(target):
        Path(path).unlink()
    archive.predict(bundle, [str(few)], target, None, None)
    assert sorted(path for path in written(target)) == before
    assert_alike(read(target), expected)


def test_what_a_part_holds_and_says_is_as_the_local_table(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    target = Place.of(str(tmp_path / "calls"))
    archive.predict(bundle, [str(few)], target, None, None)
    (some, *_) = sorted((tmp_path / "calls").glob("subject_prefix=*/*.parquet"))
    assert parquet.read_schema(some).names == list(expected)
    assert (tmp_path / "calls" / archive.SUCCESS).exists()


def test_packed_pictures_are_called_as_the_files_were(
    bundle: Bundle, cells: pd.DataFrame, tmp_path: Path
) -> None:
    """Those that cannot be read, too."""
    some = cells.iloc[::9].copy()
    broken, empty, gone = (tmp_path / name for name in ("broken.bmp", "empty.bmp", "gone.bmp"))
    broken.write_bytes(b"BM")
    empty.touch()
    some.iloc[:3, some.columns.get_loc("path")] = [str(broken), str(empty), str(gone)]
    manifest.write(some, tmp_path / "some.csv")
    pack([str(tmp_path / "some.csv")], Place.of(str(tmp_path / "packed")), SMALL, True)
    packed = locally(bundle, tmp_path / "packed", "fp32")
    pd.testing.assert_frame_equal(locally(bundle, tmp_path / "some.csv", "fp32"), packed)
    assert packed["reason"].notna().sum() == 3


def test_a_damaged_shard_is_told_and_all_others_are_called(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    packed, target = tmp_path / "packed", Place.of(str(tmp_path / "calls"))
    shards = pack([str(few)], Place.of(str(packed)), SMALL // 2).whole.shards
    damaged = packed / "shard-000001.parquet"
    content = damaged.read_bytes()
    archive.predict(bundle, [str(packed)], target, None, None)
    Path(next(path for path in finished(target) if damaged.stem in path)).unlink()
    damaged.write_bytes(b"\0" * len(content))
    with pytest.raises(LeukoscopeError, match=r"(?s)1 of \d+ parts.*shard-000001\.parquet"):
        archive.predict(bundle, [str(packed)], target, None, None)
    assert len(finished(target)) == shards - 1
    assert not target.below(archive.SUCCESS).exists()
    damaged.write_bytes(content)
    archive.predict(bundle, [str(packed)], target, None, None)
    assert_alike(read(target), expected)


def test_a_picture_that_cannot_be_had_from_its_shard_is_no_row(
    bundle: Bundle, few: Path, tmp_path: Path, here: None
) -> None:
    """Of a bit that has changed, too: the part is to be called once the shard is right again."""
    packed, target = tmp_path / "packed", Place.of(str(tmp_path / "calls"))
    pack([str(few)], Place.of(str(packed)), 10**9)
    shard = packed / "shard-000000.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(LeukoscopeError, match=r"cannot be read, or is damaged"):
        archive.predict(bundle, [str(packed)], target, None, None)
    assert finished(target) == []
    with pytest.raises(LeukoscopeError, match=r"cannot be read, or is damaged"):
        locally(bundle, packed)


def test_what_a_machine_left_that_died_is_passed_over(
    bundle: Bundle, few: Path, tmp_path: Path, here: None
) -> None:
    packed, target = tmp_path / "packed", Place.of(str(tmp_path / "calls"))
    pack([str(few)], Place.of(str(packed)), SMALL)
    (packed / ".leukoscope-other-1-shard-000000.parquet").write_bytes(b"PAR1")
    archive.predict(bundle, [str(packed)], target, None, None)
    done = finished(target)
    (tmp_path / "calls" / FINISHED / ".leukoscope-other-1-part.json").write_bytes(b"{")
    told = archive.predict(bundle, [str(packed)], target, None, None)
    assert f"{len(done)} of {len(done)} parts were called before" in told


def test_calls_of_other_pictures_or_by_another_model_are_not_mixed(
    bundle: Bundle, few: Path, tmp_path: Path, here: None
) -> None:
    target = Place.of(str(tmp_path / "calls"))
    archive.predict(bundle, [str(few)], target, None, None)
    with pytest.raises(BadInputError, match="another bundle, engine or coverage"):
        archive.predict(bundle, [str(few)], target, 0.5, None)
    more = tmp_path / "more"
    more.mkdir()
    for path in [*few.iterdir()][:4]:
        os.link(path, more / path.name)
    with pytest.raises(BadInputError, match="the sources no longer list"):
        archive.predict(bundle, [str(more)], target, None, None)


def test_calls_of_a_part_that_is_no_more_are_not_beside_the_new_ones(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    """As when a part is half written, and there are more pictures when it is started again."""
    cells, target = tmp_path / "cells", Place.of(str(tmp_path / "calls"))
    cells.mkdir()
    first, *others = few.iterdir()
    os.link(first, cells / first.name)
    archive.predict(bundle, [str(cells)], target, None, None)
    Path(finished(target)[0]).unlink()
    for path in others:
        os.link(path, cells / path.name)
    archive.predict(bundle, [str(cells)], target, None, None)
    there = [str(cells / Path(path).name) for path in expected["path"]]
    assert_alike(read(target), expected.assign(path=there))


def test_hidden_folders_hold_no_shards(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    packed, target = tmp_path / "packed", Place.of(str(tmp_path / "calls"))
    pack([str(few)], Place.of(str(packed)), SMALL)
    shutil.copytree(packed, packed / ".snapshot")
    archive.predict(bundle, [str(packed)], target, None, None)
    assert_alike(read(target), expected)


def test_subjects_tell_parts_apart(cells: pd.DataFrame, tmp_path: Path) -> None:
    some, names = cells.iloc[:3].copy(), set[str]()
    for subject in ("all:1", "all:2"):
        some.loc[0, "subject"] = subject
        manifest.write(some, tmp_path / "some.csv")
        (part,), _ = plan(files([str(tmp_path / "some.csv")], allow_outside=True))
        names.add(part.name)
    assert len(names) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes there")
def test_a_name_need_not_be_utf_8(
    bundle: Bundle, few: Path, tmp_path: Path, here: None, expected: pd.DataFrame
) -> None:
    odd, target = tmp_path / os.fsdecode(b"caf\xe9"), Place.of(str(tmp_path / "calls"))
    shutil.copytree(few, odd)
    archive.predict(bundle, [str(odd)], target, None, None)
    there = [f"{tmp_path}/caf\\xe9/{Path(path).name}" for path in expected["path"]]
    assert_alike(read(target), expected.assign(path=there))


def test_what_calls_leaves_nothing_on_its_machine(
    bundle: Bundle, few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it is killed: of the bundle no file is left when the glare is computed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("ray.get", lambda sent: sent)
    by = archive.By(bundle=bundle.digest, engine="int8", coverage=None)
    caller = Caller(archive.needed(bundle, "int8"), by, "memory://calls", "calls")
    assert not list(tmp_path.iterdir())
    glare = caller.model.predict([few / "glare.png"])
    pd.testing.assert_frame_equal(glare, Model(bundle, "int8", 1).predict([few / "glare.png"]))


def test_a_shard_is_named_once(bundle: Bundle, few: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    pack([str(few)], Place.of(str(packed)), SMALL)
    named = [str(packed), str(packed / "shard-000000.parquet")]
    with pytest.raises(BadInputError, match="named twice"):
        archive.predict(bundle, named, Place.of(str(tmp_path / "calls")), None, None)


def test_shards_that_are_not_all_there_are_refused(
    bundle: Bundle, few: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed"
    pack([str(few)], Place.of(str(packed)), SMALL // 2)
    (packed / inputs.PACKED).unlink()
    with pytest.raises(BadInputError, match="packing was not finished"):
        archive.predict(bundle, [str(packed)], Place.of(str(tmp_path / "calls")), None, None)
    with pytest.raises(BadInputError, match="which is read"):
        archive.predict(bundle, [str(few)], Place.of(str(few / "calls")), None, None)
    shards = pack([str(few)], Place.of(str(packed)), SMALL // 2).whole.shards
    (packed / f"shard-{shards - 1:06}.parquet").unlink()
    for source in (packed, tmp_path):  # itself, and below what is named
        with pytest.raises(BadInputError, match=f"holds {shards - 1} of {shards} shards"):
            archive.predict(bundle, [str(source)], Place.of("memory://calls"), None, None)
    (tmp_path / "none").mkdir()
    with pytest.raises(BadInputError, match="no file in this folder"):
        archive.predict(
            bundle, [str(tmp_path / "none")], Place.of(str(tmp_path / "calls")), None, None
        )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "ray", "--threads", "2"], "no --threads"),
        (["--engine", "ray", "--subject-summary", "subjects.csv"], "no --subject-summary"),
        (["--address", "auto"], "it takes --engine ray"),
        (["-o", "s3://hospital/calls"], "by --engine ray"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    bundle: Bundle, few: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    command = ["predict", str(bundle.folder), str(few), "-o", str(tmp_path / "calls"), *words]
    with pytest.raises(BadInputError, match=said):
        app(command, standalone_mode=False)
