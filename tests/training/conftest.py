"""Short trainings of the tests' store."""

from pathlib import Path
from typing import Any

import pytest

from leukoscope.cells.store import Store
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train
from trainings import NARROW, SETTINGS, Untrained


def planned(store: Store, overrides: list[str], **options: Any) -> RunConfig:
    """Plan the training of a narrow ResNet-18."""
    told = {"model_options": NARROW, "threads": 1, "device": "cpu", **options}
    return RunConfig.plan(store.folder, "resnet18", "lab", overrides, **told)


@pytest.fixture
def untrained(store: Store, tmp_path: Path) -> Untrained:
    """Makes a run of a narrow ResNet-18 that is not trained yet."""

    def create(name: str = "run", overrides: list[str] = SETTINGS, **options: Any) -> Run:
        config = planned(store, overrides, **options)
        return Run.create(tmp_path / name, config)

    return create


@pytest.fixture(scope="session")
def whole(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was never interrupted."""
    config = planned(store, SETTINGS, watch_test=True)
    run = Run.create(tmp_path_factory.mktemp("whole") / "run", config)
    train(run)
    return run
