"""What several rooms' tests share: real cells where there are any, a small store, a short run
by recipe modern's ways, and its bundle.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from PIL import Image, ImageDraw

from leukoscope.cells import manifest
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.export import export
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train

# How often hypothesis tries; `make fuzz` asks for the long form.
settings.register_profile("short", max_examples=50, deadline=None, database=None, derandomize=True)
settings.register_profile("long", max_examples=2000, deadline=None, database=None)
settings.load_profile("short")


@pytest.fixture(scope="session")
def cnmc() -> Path:
    """Real cells of C-NMC 2019, in any layout, where `LEUKOSCOPE_CNMC` says."""
    folder = os.environ.get("LEUKOSCOPE_CNMC")
    if not folder:
        pytest.skip("LEUKOSCOPE_CNMC names no folder of real C-NMC 2019 cells")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is measured out of the user's cache; it is measured once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is measured in a test out of other tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def draw_cell(path: Path, label: int, seed: int) -> None:
    """Draw a disc on black: blasts larger, an off-centre nucleus so that every turn differs.

    Each seed has a chromatin of its own: without it all cells would be pictures of one.
    """
    random = np.random.default_rng(seed)
    radius = 30 + 10 * label + int(random.integers(0, 5))
    x, y = (75 + random.integers(-20, 20, 2)).tolist()
    picture = Image.new("RGB", (150, 150))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(140, 90, 150))
    draw.ellipse((x - radius // 2, y - radius // 2, x + radius // 4, y), fill=(80, 30, 110))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = Image.fromarray(random.integers(0, 256, (25, 25, 3), dtype=np.uint8))
    chromatin = coarse.resize(picture.size, Image.Resampling.BICUBIC)
    lit = picture.convert("L").point(lambda grey: 80 if grey else 0)
    picture = Image.composite(chromatin, picture, lit)
    picture.save(path)


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A manifest of 72 drawn cells, 6 subjects a class, 6 cells each."""
    folder = tmp_path_factory.mktemp("drawn")
    for label, kind in ((0, "hem"), (1, "all")):
        for subject in range(1, 7):
            for cell in range(1, 7):
                name = f"UID_{'' if label else 'H'}{subject}_1_{cell}_{kind}.bmp"
                draw_cell(folder / name, label, seed=100 * subject + cell)
    reading = read_sources([folder])
    manifest.write(reading.cells, folder / "cells.csv")
    return manifest.read(folder / "cells.csv")


@pytest.fixture(scope="session")
def store(cells: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of `cells` at 32 pixels, split by subject, turned anew each epoch."""
    return prepare(cells, tmp_path_factory.mktemp("store") / "store", size=32)


NewRun = Callable[..., Run]


@pytest.fixture(scope="session")
def new_run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> NewRun:
    """Trains a small network on `store`."""

    def trained(*overrides: str, **options: Any) -> Run:
        config = RunConfig.plan(
            store.folder,
            "resnet18",
            "modern",
            # Branches that begin at zero are hardly heard after a few epochs.
            ["batch_size=8", "zero_init_residual=false", *overrides],
            model_options={"width": 16},
            threads=1,
            device="cpu",
            **options,
        )
        made = Run.create(tmp_path_factory.mktemp("exported") / "run", config)
        train(made)
        return made

    return trained


@pytest.fixture(scope="session")
def run(new_run: NewRun) -> Run:
    """Long enough to tell the drawn cells apart, so that no call hangs by a thread."""
    return new_run("epochs=8")


@pytest.fixture(scope="session")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(run, tmp_path_factory.mktemp("bundles") / "bundle", "# Its card\n")
