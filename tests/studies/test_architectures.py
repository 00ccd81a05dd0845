"""Comparing architectures: what is finished stays, what is not goes on."""

from pathlib import Path

import pytest

from leukoscope import models
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.result import Evaluation
from leukoscope.studies import architectures
from leukoscope.training.run import Run, RunConfig


def config(store: Store, model: str, **options: object) -> RunConfig:
    overrides = ["batch_size=8", "epochs=2"]
    return RunConfig.plan(
        store.folder, model, "lab", overrides, **{"threads": 1, "watch_test": True, **options}
    )


def test_runs_are_trained_once_and_summed_up(store: Store, tmp_path: Path) -> None:
    configs = [config(store, model) for model in ("resnet34", "resnet18")]
    runs = architectures.compare(configs, tmp_path)
    stamps = [run.checkpoint("last").stat().st_mtime_ns for run in runs]
    again = architectures.compare(configs, tmp_path)
    assert [run.checkpoint("last").stat().st_mtime_ns for run in again] == stamps

    found = architectures.runs_of(tmp_path)
    assert [run.config.model for run in found] == ["resnet18", "resnet34"]
    table = architectures.summary(found).set_index("model")
    for run in found:
        row, history = table.loc[run.config.model], run.history
        assert row["parameters"] == models.parameters(run.config.model)
        assert row["epochs"] == 2
        assert row["highest_test_accuracy"] == history["test_accuracy"].max()
        assert row["final_test_accuracy"] == history["test_accuracy"].iloc[-1]
        assert row["test_accuracy"] == Evaluation.read(run, "test").accuracy
        assert row["test_accuracy"] == pytest.approx(
            history.set_index("epoch").loc[row["best_epoch"], "test_accuracy"]
        )


def test_another_configuration_is_refused_but_not_another_machine(
    store: Store, tmp_path: Path
) -> None:
    architectures.compare([config(store, "resnet18")], tmp_path)
    architectures.compare([config(store, "resnet18", threads=2)], tmp_path)
    with pytest.raises(BadInputError, match="another configuration"):
        architectures.compare([config(store, "resnet18", seed=1)], tmp_path)


def test_a_run_that_did_not_watch_its_test_cannot_be_compared(store: Store, tmp_path: Path) -> None:
    runs = architectures.compare([config(store, "resnet18", watch_test=False)], tmp_path)
    with pytest.raises(BadInputError, match="without --watch-test"):
        architectures.summary(runs)


def test_a_folder_without_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no runs"):
        architectures.runs_of(tmp_path)
    assert not Run.exists(tmp_path)
