"""A comparison small enough for every test run: drawn cells, two networks, two epochs."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from leukoscope.cells import manifest
from leukoscope.cells.store import prepare
from leukoscope.studies import architectures
from leukoscope.training.recipe import Recipe
from leukoscope.training.run import RunConfig

HOSTILE = "<img src=x onerror=alert(1)>"
"""What a report must show as it stands, as a subject's and as a cell's name."""


def drawn_cells(folder: Path) -> pd.DataFrame:
    """A manifest of 12 subjects with 4 cells each; the blasts are the larger discs."""
    folder.mkdir()
    rows = []
    for subject in range(12):
        label = subject % 2
        for cell in range(4):
            picture = Image.new("RGB", (48, 48))
            radius = 9 + 7 * label + cell
            box = (24 - radius, 24 - radius, 24 + radius, 24 + radius)
            ImageDraw.Draw(picture).ellipse(box, fill=(120, 40 + 10 * subject, 160))
            path = folder / f"{subject}-{cell}.png"
            picture.save(path)
            rows.append(
                {
                    "id": f"{HOSTILE}/{path.name}",
                    "path": str(path),
                    "label": label,
                    "subject": f"drawn:{subject}{HOSTILE}",
                }
            )
    return manifest.typed(pd.DataFrame(rows, columns=manifest.COLUMNS, dtype=object))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison, made once and never changed; see `comparison`."""
    folder = tmp_path_factory.mktemp("reporting")
    cells = drawn_cells(folder / "pictures")
    store = prepare(cells, folder / "store", crop="resize", size=32)
    recipe = Recipe(epochs=2, batch_size=8, learning_rate=0.01)
    config = RunConfig(
        model="resnet18",
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
