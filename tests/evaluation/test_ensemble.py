"""Ensembles: means of their runs, settled by people whom each run never met."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from leukoscope.cells.division import Division
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.calibration import fit_temperature, probability
from leukoscope.evaluation.describe import describe
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.evaluate import evaluate, evaluate_others
from leukoscope.evaluation.result import predictions_file
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train
from trainings import NARROW


def trained(store: Store, folder: Path, fold: int, model: str = "resnet18") -> Run:
    config = RunConfig.plan(
        store.folder,
        model,
        "lab",
        ["batch_size=16", "epochs=1"],
        model_options=NARROW,
        division=Division(fold=fold),
        threads=1,
        device="cpu",
    )
    run = Run.create(folder, config)
    train(run)
    return run


@pytest.fixture(scope="module")
def ensemble(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    folder = tmp_path_factory.mktemp("ensemble")
    for fold in range(store.parts):
        evaluate(trained(store, folder / "resnet18" / f"fold{fold}", fold))
    return Ensemble.open(folder)


def test_an_ensemble_calls_by_the_mean_of_its_runs(ensemble: Ensemble, cells: pd.DataFrame) -> None:
    some = cells.iloc[::9].reset_index(drop=True)
    alone = []
    for run in ensemble.runs:
        evaluate_others(run, some, "some")
        alone.append(pd.read_parquet(predictions_file(run, "external-some"))["logit"])
    found = evaluate_others(ensemble, some, "some")
    together = pd.read_parquet(predictions_file(ensemble, "external-some"))
    np.testing.assert_allclose(together["logit"], np.mean(alone, axis=0), rtol=1e-6)
    assert found.cells == len(some)
    assert found.epoch is None
    assert found.known_subjects == sorted(set(some["subject"]))
    assert "mean of 5 runs, temperature" in describe(ensemble, found)


def test_people_whom_a_run_never_met_settle_the_ensemble(
    ensemble: Ensemble, cells: pd.DataFrame, store: Store
) -> None:
    tested = pd.concat([pd.read_parquet(predictions_file(run, "test")) for run in ensemble.runs])
    assert sorted(tested["id"]) == sorted(store.cells["id"])
    truth = tested["label"].to_numpy(dtype=int) == 1
    temperature = fit_temperature(tested["logit"].to_numpy(), truth)
    found = evaluate_others(ensemble, cells.head(10), "ten")
    assert found.temperature == pytest.approx(temperature)
    # Youden's point on those cells is as good as the best threshold tried one by one.
    calibrated = probability(tested["logit"].to_numpy(), temperature)
    youden = ensemble.settled().point("Youden")
    best = max(
        (calibrated[truth] >= level).mean() + (calibrated[~truth] < level).mean()
        for level in calibrated
    )
    assert youden.sensitivity + youden.specificity == pytest.approx(best)


def test_what_is_no_ensemble_is_said(store: Store, ensemble: Ensemble, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no runs"):
        Ensemble.open(tmp_path)
    trained(store, tmp_path / "resnet18", 0)
    with pytest.raises(BadInputError, match="was not evaluated on its test split"):
        Ensemble.open(tmp_path)
    trained(store, tmp_path / "resnet34", 1, "resnet34")
    with pytest.raises(BadInputError, match="several networks or recipes"):
        Ensemble.open(tmp_path)
    with pytest.raises(BadInputError, match="not the last ones"):
        evaluate_others(ensemble, pd.DataFrame(), "none", "last")
