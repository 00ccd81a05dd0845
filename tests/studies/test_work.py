"""Work: epochs counted by what they compute, up to the first that is good enough."""

import math
from pathlib import Path

import pandas as pd
import pytest

from leukoscope.cells.store import Store
from leukoscope.studies.work import work
from leukoscope.training.run import Run, RunConfig


def run(store: Store, folder: Path, model: str, aurocs: list[float]) -> Run:
    config = RunConfig.plan(
        store.folder, model, "lab", [f"epochs={len(aurocs)}"], threads=1, device="cpu"
    )
    made = Run.create(folder, config)
    made.write_history(pd.DataFrame({"validation_auroc": aurocs}).to_dict("records"))
    return made


def test_work_ends_at_the_first_epoch_as_good_as_the_end_of_the_other(
    store: Store, tmp_path: Path
) -> None:
    first = run(store, tmp_path / "first", "resnet18", [0.5, 0.9, 0.7, 0.8])
    other = run(store, tmp_path / "other", "resnet18", [0.6, 0.8, 0.7])
    deeper = run(store, tmp_path / "deeper", "resnet50", [0.6, 0.8, 0.7])
    assert work([first], [other]) == pytest.approx(2 / 4)
    # 4.089 and 1.814 GMACs at 224 px: the published costs, less their classifiers.
    assert work([first], [deeper]) == pytest.approx(2 / 4 * 3.858 / 1.814, rel=0.02)
    late = run(store, tmp_path / "late", "resnet18", [0.6, 0.6, 0.95])
    assert work([first, first], [other, late]) == pytest.approx(3 / 4)
    assert math.isnan(work([first], [run(store, tmp_path / "low", "resnet18", [0.7])]))
