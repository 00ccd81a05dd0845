"""A short run by recipe modern's ways, and its bundle."""

from pathlib import Path

import pytest

from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.export import export
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train


@pytest.fixture(scope="session")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = RunConfig.plan(
        store.folder,
        "resnet18",
        "modern",
        ["batch_size=8", "epochs=3"],
        model_options={"width": 16},
        threads=1,
        device="cpu",
    )
    made = Run.create(tmp_path_factory.mktemp("exported") / "run", config)
    train(made)
    return made


@pytest.fixture(scope="session")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export(run, tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what engines measure out of the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
