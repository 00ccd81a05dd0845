"""A comparison small enough for every test run: drawn cells, two networks, two epochs."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from leukoscope.cells.prepare import prepare
from leukoscope.studies import architectures
from leukoscope.training.recipe import Recipe
from leukoscope.training.run import RunConfig
from trainings import NARROW

HOSTILE = "<img src=x onerror=alert(1)>"
"""What a report must show as it stands, as a subject's and as a cell's name."""


@pytest.fixture(scope="session")
def trained(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison, made once and never changed; see `comparison`."""
    folder = tmp_path_factory.mktemp("reporting")
    subject = pd.Series(pd.factorize(cells["subject"])[0], cells.index, dtype="string")
    cells = cells.assign(subject="drawn:" + subject + HOSTILE, id=HOSTILE + cells["id"])
    store = prepare(cells, folder / "store", crop="resize", size=32)
    recipe = Recipe(epochs=2, batch_size=8, learning_rate=0.01)
    config = RunConfig(
        model="resnet18",
        model_options=NARROW,
        recipe=recipe,
        store=str(store.folder),
        store_digest=store.digest,
        watch_test=True,
        device="cpu",
        threads=1,
    )
    architectures.compare({Path("resnet18"): config}, folder / "compare")
    shutil.copytree(folder / "compare" / "resnet18", folder / "compare" / "twin")
    return folder / "compare"


@pytest.fixture
def comparison(trained: Path, tmp_path: Path) -> Path:
    """A comparison that a test may change: the run ``resnet18`` and a copy of it, ``twin``."""
    return shutil.copytree(trained, tmp_path / "compare")


@pytest.fixture
def single(comparison: Path) -> Path:
    """The same with one run only, for tests that need no second."""
    shutil.rmtree(comparison / "twin")
    return comparison
