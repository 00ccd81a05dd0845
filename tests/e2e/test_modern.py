"""Recipe `modern` in short, on phantom people whom the network never met."""

from pathlib import Path

import pytest

from leukoscope.cells import manifest
from leukoscope.cells.phantom import write_phantoms
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.cells.store import Store
from leukoscope.evaluation.evaluate import evaluate
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """400 cells of 24 people, each with a stain and a scale of their own."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder / "cells", subjects=24, cells=400)
    manifest.write(read_sources([folder / "cells"]).cells, folder / "cells.csv")
    return prepare(manifest.read(folder / "cells.csv"), folder / "store", size=64)


def test_it_calls_phantom_people_whom_it_never_met(phantoms: Store, tmp_path: Path) -> None:
    config = RunConfig.plan(
        phantoms.folder,
        "resnet18",
        "modern",
        ["epochs=10", "batch_size=16"],
        model_options={"width": 16},
        threads=1,
        device="cpu",
    )
    run = Run.create(tmp_path / "run", config)
    train(run)
    found = evaluate(run)
    auroc = found.scores["auroc"].value
    assert auroc is not None
    assert auroc > 0.85
    # Each person has a stain of their own: by colour alone new people are not told so well.
    colour = next(one for one in found.baselines if one.name == "colour only").auroc.value
    assert colour is not None
    assert auroc > colour
