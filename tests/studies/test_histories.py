"""What is read from a training's history, on histories made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leukoscope.cells.store import Store
from leukoscope.studies.histories import (
    accuracy_margin,
    fluctuation,
    fluctuation_margin,
    kept_epoch,
    labelled,
    log_ratio,
    second_half,
)
from leukoscope.training.run import Run, RunConfig


def history(accuracies: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "epoch": range(1, len(accuracies) + 1),
            "validation_accuracy": accuracies,
            "validation_loss": [1 - accuracy for accuracy in accuracies],
        }
    )


def test_fluctuation_is_the_spread_of_the_second_halfs_changes() -> None:
    # The first half jumps wildly and does not count; then changes of +0.1, -0.1, +0.1, -0.1.
    jumps = history([0.1, 0.9, 0.2, 0.5, 0.6, 0.5, 0.6, 0.5])
    assert fluctuation(jumps) == pytest.approx(np.std([0.1, -0.1, 0.1, -0.1], ddof=1))


def test_a_steady_climb_does_not_fluctuate() -> None:
    assert fluctuation(history(np.linspace(0.5, 0.9, 20).tolist())) == pytest.approx(0, abs=1e-12)


def test_too_short_a_training_has_no_fluctuation() -> None:
    assert np.isnan(fluctuation(history([0.5, 0.6])))
    assert np.isnan(fluctuation_margin(1))


@pytest.mark.parametrize(("changes", "ratio"), [(4, 15.439**0.5), (6, 7.146**0.5), (20, 2.0)])
def test_fewer_changes_leave_more_to_chance(changes: int, ratio: float) -> None:
    """The printed tables of F at 0.975 with 3 and 5 degrees of freedom."""
    assert np.exp(fluctuation_margin(changes)) == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize(("epochs", "late"), [(1, []), (2, [2]), (5, [4, 5]), (40, range(21, 41))])
def test_second_half(epochs: int, late: list[int]) -> None:
    assert second_half(history([0.5] * epochs))["epoch"].tolist() == list(late)


@pytest.mark.parametrize(("keep", "epoch"), [("best", 3), ("last", 5)])
def test_the_kept_epoch_is_the_recipes(store: Store, tmp_path: Path, keep: str, epoch: int) -> None:
    """The best is the first of the most accurate with the smallest loss."""
    settings = {"threads": 1, "device": "cpu"}
    config = RunConfig.plan(store.folder, "resnet18", "lab", [f"keep={keep}"], **settings)
    run = Run.create(tmp_path / "run", config)
    table = history([0.7, 0.9, 0.9, 0.9, 0.8]).assign(validation_loss=[0.1, 0.5, 0.4, 0.4, 0.3])
    run.write_history(table.to_dict("records"))
    assert kept_epoch(run)["epoch"] == epoch


def test_ratios_and_margins() -> None:
    assert log_ratio(np.e**2, 1) == pytest.approx(2)
    assert log_ratio(0.0, 0.01, floor=0.01) == 0
    # Two of sqrt(2 p (1 - p) / n): p = 1/2 on 200 cells gives 2 * 0.05.
    assert accuracy_margin(pd.Series([0.4, 0.6]), 200) == pytest.approx(0.1)


def test_labels_stand_first_and_the_machines_speed_does_not_stand_at_all() -> None:
    timed = history([0.5]).assign(images_per_second=9.0, seconds=1.0)
    columns = ["model", "seed", "epoch", "validation_accuracy", "validation_loss"]
    assert labelled(timed, model="resnet18", seed=0).columns.tolist() == columns
