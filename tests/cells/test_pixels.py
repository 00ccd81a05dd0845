"""Pixels in shards: the same cells, dealt evenly, read only where they are asked for."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from leukoscope.cells.features import features
from leukoscope.cells.gather import Gather
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.pixels import names
from leukoscope.cells.prepare import prepare
from leukoscope.cells.store import Store
from leukoscope.cli import app
from leukoscope.errors import BadInputError


@pytest.fixture(scope="module")
def shards(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The cells of `store`, in three shards."""
    return prepare(cells, tmp_path_factory.mktemp("shards") / "store", size=32, shards=3)


def test_shards_hold_the_same_cells(shards: Store, store: Store) -> None:
    files = sorted(path.name for path in shards.folder.glob("*.npy"))
    assert files == names(3) == [f"pixels-0000{number}-of-00003.npy" for number in range(3)]
    assert shards.info.mean == store.info.mean
    assert np.array_equal(shards.pixels[np.arange(len(store.cells))], store.pixels)
    assert np.array_equal(shards.pixels[3:70:7], store.pixels[3:70:7])
    assert np.array_equal(shards.pixels[5], store.pixels[5])
    pd.testing.assert_frame_equal(shards.cells.drop(columns="shard"), store.cells)
    rows = store.rows("train")[::5]
    whole = features(store.pixels).iloc[rows].reset_index(drop=True)
    pd.testing.assert_frame_equal(features(shards.pixels, rows), whole)


def test_one_process_sees_the_same_batches(shards: Store, store: Store) -> None:
    pairs = zip(
        TrainingLoader(shards, 8, seed=3).epoch(1),
        TrainingLoader(store, 8, seed=3).epoch(1),
        strict=True,
    )
    for ours, theirs in pairs:
        assert ours.pictures.equal(theirs.pictures)
        assert ours.labels.equal(theirs.labels)
        assert ours.turns is not None
        assert theirs.turns is not None
        assert ours.turns.equal(theirs.turns)


def test_each_class_of_each_split_is_dealt_evenly(shards: Store) -> None:
    counts = shards.cells.groupby(["split", "label"])["shard"].value_counts().unstack()
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    whole = shards.cells["shard"].value_counts()
    assert whole.max() - whole.min() <= 1


@pytest.mark.parametrize("balance", ["none", "class"])
@pytest.mark.parametrize("size", [2, 3])
def test_processes_take_as_many_steps_with_their_own_cells(
    shards: Store, size: int, balance: str
) -> None:
    loaders = [TrainingLoader(shards, 7, 0, balance, None, rank, size) for rank in range(size)]
    alone = TrainingLoader(shards, 7, 0, balance)
    for epoch in range(2):
        seen = [[batch.rows.tolist() for batch in loader.epoch(epoch)] for loader in loaders]
        lengths = np.array([[len(rows) for rows in batches] for batches in seen]).T
        assert np.array_equal(lengths, loaders[0].shares(epoch))
        assert len(lengths) == len(alone)
        # Together they are the cells that one process would have seen.
        drawn = [row for batch in alone.epoch(epoch) for row in batch.rows.tolist()]
        assert sorted(row for batches in seen for rows in batches for row in rows) == sorted(drawn)
        assert (np.ptp(lengths, axis=0) <= 1).all()
        # A loader that goes on sees what is left.
        later = [batch.rows.tolist() for batch in loaders[1].epoch(epoch, 2)]
        assert later == seen[1][2:]


def test_what_lies_elsewhere_is_said_when_it_is_needed(shards: Store, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shards.folder, tmp_path / "store"))
    (folder / names(3)[1]).unlink()
    here = Store.open(folder)
    mine, others = (np.flatnonzero(here.cells["shard"] == number) for number in (0, 1))
    here.verify(rank=0, size=2)
    assert np.array_equal(Gather(here)(mine).pictures, shards.pixels[mine])
    with pytest.raises(BadInputError, match=r"pixels-00001-of-00003\.npy is missing"):
        Gather(here)(others)
    with pytest.raises(BadInputError, match="pixels-00001-of-00003"):
        here.verify(rank=1, size=2)


def test_more_processes_than_shards_are_refused(shards: Store) -> None:
    with pytest.raises(BadInputError, match="3 shards for 4 processes"):
        TrainingLoader(shards, 8, 0, rank=0, size=4)


def test_more_shards_than_cells_of_a_class_are_refused(cells: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="50 shards"):
        prepare(cells, tmp_path / "store", size=32, shards=50)


def test_more_shards_than_files_that_may_be_open_are_refused() -> None:
    found = CliRunner().invoke(app, ["prepare", "cells.csv", "-o", "store", "--shards", "2000"])
    assert found.exit_code == 2
    assert "512" in found.output
