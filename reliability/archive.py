"""Promise: an archive is called whole, each cell once, though a machine dies over it.

Phantom cells, a few thousand of them rendered and under as many names as are asked for, are packed
into a server of objects on this machine and called from there by a Ray cluster of two nodes of one
core, one of which is killed half-way. Of what is then there each row is held against the local
engine's, called from the files; packing again and calling again must find nothing to do. The memory
of the driver must not grow with the cells.

    python reliability/archive.py BUNDLE CELLS [COUNT]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import dataset

from leukoscope.inference.part import FINISHED
from leukoscope.inference.storage import Place
from load import memory
from objects import nodes, objects
from tell import tell

COUNT = 100_000
SHARD_MB = 8
"""Small: a server that is made for tests reads all of a shard for each part that is asked for."""

GROWTH = 1.1
"""Of the driver's memory, from the first half of its time to the second."""

COMMAND = [sys.executable, "-m", "leukoscope"]


def named(pictures: Path, folder: Path, count: int) -> None:
    """Give `pictures`, UID files below a folder, as many names as are asked for, subjects kept."""
    sources = sorted(pictures.rglob("UID_*.bmp"))
    for number in range(count):
        source = sources[number % len(sources)]
        uid, subject, _, *rest = source.name.split("_")
        place = folder / subject
        place.mkdir(parents=True, exist_ok=True)
        os.link(source, place / "_".join([uid, subject, str(number), *rest]))


def said(*words: object) -> str:
    """Run leukoscope to its end; return what it prints."""
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def finished(target: Place) -> int:
    """Return how many parts are called."""
    place = target.below(FINISHED)
    return sum(1 for _ in place.files_below()) if place.exists() else 0


def killed(cluster: Any, words: Sequence[str], target: Place, parts: int) -> tuple[int, list[int]]:
    """Call, and kill a node when half of the parts are called.

    Returns:
        How many parts were called then, and the driver's memory as it was, in bytes.
    """
    at, held = 0, list[int]()
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL) as driver:
        while driver.poll() is None:
            held.append(memory(driver.pid))
            if not at and (there := finished(target)) >= parts / 2:
                cluster.remove_node(min(cluster.worker_nodes, key=str), allow_graceful=False)
                at = there
            time.sleep(0.5)
    if driver.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit status {driver.returncode}")
    return at, held


def differing(target: Place, expected: pd.DataFrame) -> Iterator[str]:
    """Yield how the calls below `target` are others than `expected`."""
    found = dataset.dataset(target.path, filesystem=target.files, format="parquet").to_table()
    calls = found.to_pandas()
    names = calls["path"].value_counts()
    yield from (f"{path}: {count} rows" for path, count in names[names > 1].items())
    yield from (f"{path}: no row" for path in set(expected["path"]) - set(names.index))
    yield from (f"{path}: not asked for" for path in set(names.index) - set(expected["path"]))
    both = expected.merge(calls, on="path", suffixes=("", "_found"))
    for column in expected.columns.drop("path"):
        here, there = both[column], both[f"{column}_found"]
        if column in ("probability", "certainty"):
            other = ~((here - there).abs() <= 1e-6) & ~(here.isna() & there.isna())
        else:
            other = here.fillna("") != there.fillna("")
        yield from (f"{path}: another {column}" for path in both.loc[other, "path"])


def archive(bundle: Path, pictures: Path, count: int) -> tuple[list[str], dict[str, float]]:
    """Pack and call `count` cells; return what failed, and figures."""
    with tempfile.TemporaryDirectory() as name, objects("hospital") as bucket:
        folder, place = Path(name) / "cells", Path(name)
        named(pictures, folder, count)
        (folder / "broken.bmp").write_bytes(b"BM")
        pack = ["pack", folder, "-o", f"{bucket}/packed", "--shard-size", SHARD_MB]
        started = time.perf_counter()
        said(*pack)
        packing = time.perf_counter() - started
        parts = json.loads(Place.of(f"{bucket}/packed/pack.json").read())["shards"]
        said("predict", bundle, folder, "-o", place / "calls.parquet", "--engine", "int8")
        expected = pd.read_parquet(place / "calls.parquet")
        target = Place.of(f"{bucket}/calls")
        with nodes(2) as cluster:
            words = ["predict", str(bundle), f"{bucket}/packed", "-o", f"{bucket}/calls"]
            words += ["--engine", "ray", "--address", cluster.address]
            started = time.perf_counter()
            at, held = killed(cluster, words, target, parts)
            calling = time.perf_counter() - started
            failed = list(differing(target, expected))
            if f"{parts:,} of {parts:,} parts were called before" not in said(*words):
                failed.append("called again, though it was finished")
        if f"{parts:,} of them were there" not in said(*pack):
            failed.append("packed again, though it was finished")
    if not 0 < at < parts:
        failed.append("no node was killed in the middle")
    first, second = max(held[: len(held) // 2]), max(held[len(held) // 2 :])
    if second > GROWTH * first:
        failed.append("the memory of the driver grew")
    return failed, {
        "parts": parts,
        "finished_when_a_node_was_killed": at,
        "packing_seconds": packing,
        "calling_seconds": calling,
        "driver_first_half_mib": first / 2**20,
        "driver_second_half_mib": second / 2**20,
    }


def main(words: Sequence[str]) -> None:
    """Check as the command line says."""
    count = int(words[2]) if len(words) > 2 else COUNT
    failed, figures = archive(Path(words[0]), Path(words[1]), count)
    print(json.dumps(figures, indent=2))
    tell(
        "archive",
        "each cell of an archive is called once, though a node dies",
        count,
        failed,
        **figures,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
