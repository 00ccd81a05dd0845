"""Short trainings of the tests' store."""

from pathlib import Path
from typing import Any

import pytest

from leukoscope.cells.store import Store
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train
from trainings import SETTINGS, Untrained


@pytest.fixture
def untrained(store: Store, tmp_path: Path) -> Untrained:
    """Makes a run of a ResNet-18 that is not trained yet."""

    def create(name: str = "run", overrides: list[str] = SETTINGS, **options: Any) -> Run:
        config = RunConfig.plan(
            store.folder, "resnet18", "lab", overrides, threads=1, device="cpu", **options
        )
        return Run.create(tmp_path / name, config)

    return create


@pytest.fixture(scope="session")
def whole(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was never interrupted."""
    config = RunConfig.plan(
        store.folder, "resnet18", "lab", SETTINGS, threads=1, device="cpu", watch_test=True
    )
    run = Run.create(tmp_path_factory.mktemp("whole") / "run", config)
    train(run)
    return run
