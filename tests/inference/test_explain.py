"""Explanations: each picture with its maps, its call, and the training cells most like it."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.explain import NEAREST, explain
from leukoscope.inference.model import Model
from leukoscope.reporting.explanation import write_explanations


@pytest.fixture
def paths(store: Store) -> list[Path]:
    """A cell that was trained on, and one that was not."""
    rows = [store.rows("train")[0], store.rows("test")[0]]
    return [Path(path) for path in store.cells["path"].iloc[rows]]


def test_files_tell_what_was_found(
    bundle: Bundle, store: Store, paths: list[Path], tmp_path: Path
) -> None:
    write_explanations(explain(bundle, paths), tmp_path)
    names = [f"{number}-{path.stem}.png" for number, path in enumerate(paths, start=1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "nearest.csv"]
    for name in names:
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 2 * picture.height
    near = pd.read_csv(tmp_path / "nearest.csv")
    assert near["rank"].tolist() == 2 * list(range(1, NEAREST + 1))
    assert near["path"].drop_duplicates().tolist() == [str(path) for path in paths]
    trained = store.cells.iloc[store.rows("train")].set_index("id")
    assert near["subject"].tolist() == trained.loc[near["id"], "subject"].tolist()
    assert near["label"].tolist() == trained.loc[near["id"], "label"].tolist()
    for _, found in near.groupby("path"):
        assert found["distance"].is_monotonic_increasing
    # A training cell is most like itself.
    assert near["id"][0] == trained.index[0]
    assert near["distance"][0] == pytest.approx(0, abs=1e-3)


def test_the_call_is_that_of_the_networks(bundle: Bundle, paths: list[Path]) -> None:
    calls = Model(bundle, "torch").predict(paths)
    found = [one.call["probability"] for one in explain(bundle, paths)]
    assert found == calls["probability"].tolist()


def test_a_picture_that_cannot_be_read_is_said_before_any_work(
    bundle: Bundle, paths: list[Path]
) -> None:
    with pytest.raises(BadInputError, match=r"gone\.png: cannot be read"):
        next(explain(bundle, [*paths, Path("gone.png")]))
