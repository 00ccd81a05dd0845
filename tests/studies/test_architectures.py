"""Comparing architectures: what is finished stays, what is not goes on, what is decided is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leukoscope import models
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.result import Evaluation, predictions_file
from leukoscope.studies import ranking
from leukoscope.studies.architectures import Network, compare, networks_of, plan
from leukoscope.studies.runs import complete, open_or_create
from leukoscope.training.run import Run, RunConfig
from trainings import NARROW

FAST = ["batch_size=8", "epochs=2"]


def planned(store: Store, *names: str, **options: object) -> dict[Path, RunConfig]:
    settings = {"seeds": [0], "folds": None, "threads": 1, "model_options": NARROW, **options}
    return plan(store.folder, names, "lab", FAST, **settings)


def test_runs_are_trained_once_and_summed_up(store: Store, tmp_path: Path) -> None:
    configs = planned(store, "resnet34", "resnet18")
    assert set(configs) == {Path("resnet34"), Path("resnet18")}
    networks = compare(configs, tmp_path)
    runs = [run for network in networks for run in network.runs]
    stamps = [run.checkpoint("last").stat().st_mtime_ns for run in runs]
    compare(configs, tmp_path)
    assert [run.checkpoint("last").stat().st_mtime_ns for run in runs] == stamps

    found = networks_of(tmp_path)
    assert [network.name for network in found] == ["resnet18", "resnet34"]
    table = ranking.runs_table(found).set_index("network")
    means = ranking.summary(found).set_index("network")
    for network in found:
        (run,) = network.runs
        row, history, test = table.loc[network.name], run.history, Evaluation.read(run, "test")
        assert row["parameters"] == models.parameters(run.config.model, **NARROW)
        assert row["epochs"] == 2
        assert row["highest_test_accuracy"] == history["test_accuracy"].max()
        assert row["final_test_accuracy"] == history["test_accuracy"].iloc[-1]
        assert row["test_accuracy"] == test.accuracy
        assert row["test_accuracy"] == pytest.approx(
            history.set_index("epoch").loc[row["kept_epoch"], "test_accuracy"]
        )
        # One run is its own mean, and its intervals are those of its evaluation.
        assert means.loc[network.name, "test_accuracy"] == row["test_accuracy"]
        assert pd.isna(means.loc[network.name, "test_accuracy_sd"])
        auroc = test.scores["auroc"]
        assert means.loc[network.name, "auroc"] == pytest.approx(auroc.value)
        low = np.nan if auroc.low is None else auroc.low
        assert means.loc[network.name, "auroc_low"] == pytest.approx(low, nan_ok=True)

    differences = ranking.differences_table(found)
    assert differences["metric"].tolist() == ["auroc", "accuracy", "balanced_accuracy"]
    assert set(differences["second"]) == {"resnet34"}
    expected = means.loc["resnet34", "accuracy"] - means.loc["resnet18", "accuracy"]
    assert differences.loc[1, "difference"] == pytest.approx(expected)


def test_folds_test_every_person_once_and_seeds_are_averaged(store: Store, tmp_path: Path) -> None:
    configs = planned(store, "resnet18", seeds=[3, 4], folds=5)
    assert Path("resnet18", "fold4-seed3") in configs
    assert len(configs) == 10
    some = {place: one for place, one in configs.items() if one.seed == 3}
    (network,) = compare(some, tmp_path)
    (cells,) = network.pools.values()
    assert sorted(cells["id"]) == sorted(store.cells["id"])
    assert cells["person"].nunique() == 12
    runs = ranking.runs_table([network])
    assert runs["fold"].tolist() == [0, 1, 2, 3, 4]
    row = ranking.summary([network]).iloc[0]
    assert row["runs"] == 5
    assert row["test_accuracy"] == pytest.approx(runs["test_accuracy"].mean())
    assert row["test_accuracy_sd"] == pytest.approx(runs["test_accuracy"].std())
    assert row["accuracy"] == pytest.approx((cells["call"] == cells["label"]).mean())


def test_folds_must_be_those_of_the_store(store: Store) -> None:
    with pytest.raises(BadInputError, match="with 5 parts of the people, not 3"):
        planned(store, "resnet18", folds=3)


def test_cells_that_were_tested_twice_cannot_be_pooled(store: Store, tmp_path: Path) -> None:
    (network,) = compare(planned(store, "resnet18"), tmp_path)
    twice = Network("twice", network.runs * 2)
    with pytest.raises(BadInputError, match="did not test the same cells once a seed"):
        _ = twice.pools


def test_networks_of_other_cells_are_not_compared(store: Store, tmp_path: Path) -> None:
    networks = compare(planned(store, "resnet18", "resnet34"), tmp_path)
    path = predictions_file(networks[1].runs[0], "test")
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    with pytest.raises(BadInputError, match="resnet18 and resnet34 did not test the same cells"):
        ranking.differences_table(networks)


def test_another_configuration_is_refused_but_not_another_machine(
    store: Store, tmp_path: Path
) -> None:
    (one,) = planned(store, "resnet18").values()
    (other,) = planned(store, "resnet18", threads=2).values()
    open_or_create(one, tmp_path / "resnet18")
    run = open_or_create(other, tmp_path / "resnet18")
    # What is not finished goes on with the new threads; what is, keeps those it was trained with.
    assert run.config.threads == Run.open(run.folder).config.threads == 2
    complete(run)
    assert open_or_create(one, run.folder).config.threads == 2
    with pytest.raises(BadInputError, match="another configuration"):
        compare(planned(store, "resnet18", seeds=[1]), tmp_path)


def test_a_run_that_did_not_watch_its_test_cannot_be_compared(store: Store, tmp_path: Path) -> None:
    configs = {
        place: config.model_copy(update={"watch_test": False})
        for place, config in planned(store, "resnet18").items()
    }
    networks = compare(configs, tmp_path)
    with pytest.raises(BadInputError, match="without --watch-test"):
        ranking.summary(networks)


def test_a_folder_without_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no runs"):
        networks_of(tmp_path)
    assert not Run.exists(tmp_path)
