"""Loader and data set: every cell once an epoch, in an order that (seed, epoch) decides."""

import threading
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from leukoscope.cells.dataset import LeukemiaDataset
from leukoscope.cells.division import Division
from leukoscope.cells.loader import (
    Balance,
    TrainingLoader,
    ahead,
)
from leukoscope.cells.prepare import prepare
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError


def collected(loader: TrainingLoader, epoch: int, first: int = 0) -> list[torch.Tensor]:
    return [
        torch.cat([b.pictures.flatten(1), b.turns[:, None]], 1) for b in loader.epoch(epoch, first)
    ]


def test_each_cell_comes_once_an_epoch(store: Store) -> None:
    loader = TrainingLoader(store, 7, seed=0)
    batches = list(loader.epoch(0))
    assert [len(batch.labels) for batch in batches] == loader.sizes()
    seen = sorted(bytes(p.numpy()) for batch in batches for p in batch.pictures)
    assert seen == sorted(bytes(store.pixels[row]) for row in store.rows("train"))


def test_the_order_depends_on_seed_and_epoch_alone(store: Store) -> None:
    first = torch.cat(collected(TrainingLoader(store, 8, seed=1), 3))
    again = TrainingLoader(store, 8, seed=1)
    list(again.epoch(0))
    assert torch.equal(first, torch.cat(collected(again, 3)))
    assert not torch.equal(first, torch.cat(collected(again, 4)))
    assert not torch.equal(first, torch.cat(collected(TrainingLoader(store, 8, seed=2), 3)))


def test_an_epoch_can_be_entered_anywhere(store: Store) -> None:
    loader = TrainingLoader(store, 8, seed=1)
    for whole, part in zip(collected(loader, 2)[3:], collected(loader, 2, first=3), strict=True):
        assert torch.equal(whole, part)


def test_classes_and_people_can_come_alike(store: Store) -> None:
    """A person of one cell among people of six: drawn as often as they are."""
    few = store.cells.copy()
    kept = store.rows("train")
    lonely = few["person"].iloc[kept[0]]
    dropped = [row for row in kept if few["person"].iloc[row] == lonely][1:]
    few.loc[few.index[dropped], "split"] = pd.NA
    store = replace(store, cells=few)

    def drawn(balance: Balance) -> pd.DataFrame:
        loader = TrainingLoader(store, 8, 0, balance)
        assert loader.share.sum() == pytest.approx(1)
        cells = store.cells.iloc[loader.rows].reset_index(drop=True)
        return cells.assign(share=loader.share)

    for balance in ("class", "person"):
        assert drawn(balance).groupby("label")["share"].sum().tolist() == pytest.approx([0.5, 0.5])
    people = drawn("person").groupby(["label", "person"])["share"].sum()
    for _, shares in people.groupby("label"):
        assert shares.tolist() == pytest.approx([0.5 / len(shares)] * len(shares))
    assert drawn("class").groupby("label")["share"].nunique().tolist() == [1, 1]
    loader = TrainingLoader(store, 8, 0, "person")
    assert sum(len(batch.labels) for batch in loader.epoch(0)) == len(store.rows("train"))


def test_no_batch_holds_a_single_cell(store: Store) -> None:
    cells = len(store.rows("train"))
    for size in range(2, cells):
        loader = TrainingLoader(store, size, seed=0)
        assert sum(loader.sizes()) == cells
        assert min(loader.sizes()) > 1
        assert max(loader.sizes()) <= size + 1


def test_the_labs_plan_is_followed(cells: pd.DataFrame, tmp_path) -> None:
    made = prepare(cells, tmp_path / "store", size=32, division=Division(plan="lab"))
    rows, turns = made.training_plan()
    loader = TrainingLoader(made, 8, seed=0)
    for epoch in (0, 1):
        drawn = torch.cat([batch.turns for batch in loader.epoch(epoch)])
        assert sorted(drawn.tolist()) == sorted(turns.tolist())
    assert loader.cells == len(rows)


def test_an_error_in_the_thread_is_raised_in_the_loop() -> None:
    def items():
        yield 1
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(ahead(items()))


def test_leaving_the_loop_ends_the_thread() -> None:
    stream = ahead(range(1_000_000))
    assert next(stream) == 0
    stream.close()
    assert not any(thread.name == "leukoscope-loader" for thread in threading.enumerate())


@pytest.mark.parametrize("mode", ["train", "validation", "test"])
def test_dataset_serves_any_data_loader(store: Store, mode: str) -> None:
    dataset = LeukemiaDataset(store.folder, mode)
    paths, labels = dataset.get_data(mode)
    assert len(dataset) == len(paths) == len(labels) == len(store.rows(mode))
    served = [label for _, batch in DataLoader(dataset, batch_size=5) for label in batch.tolist()]
    assert served == labels
    picture, label = dataset[0]
    assert picture.shape == (3, 32, 32)
    assert picture.dtype == torch.float32
    assert type(label) is int


def test_dataset_turns_training_cells_anew_and_the_others_never(store: Store) -> None:
    torch.manual_seed(0)
    train, test = LeukemiaDataset(store.folder, "train"), LeukemiaDataset(store.folder, "test")
    assert len({train[0][0].numpy().tobytes() for _ in range(40)}) > 4
    assert len({test[0][0].numpy().tobytes() for _ in range(5)}) == 1


def test_dataset_refuses_other_modes_and_indices(store: Store) -> None:
    with pytest.raises(BadInputError, match="'valid' is none of train, validation, test"):
        LeukemiaDataset(store.folder, "valid")
    dataset = LeukemiaDataset(store.folder, "test")
    with pytest.raises(IndexError):
        dataset[len(dataset)]
