"""A short run by recipe modern's ways, and its bundle."""

from collections.abc import Callable
from typing import Any

import pytest

from leukoscope.cells.store import Store
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.export import export
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train

NewRun = Callable[..., Run]


@pytest.fixture(scope="session")
def new_run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> NewRun:
    """Trains a small network on `store`."""

    def trained(*overrides: str, **options: Any) -> Run:
        config = RunConfig.plan(
            store.folder,
            "resnet18",
            "modern",
            ["batch_size=8", *overrides],
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
