"""Evaluation: counts that a person can check, and the files that others read."""

from pathlib import Path

import pandas as pd
import pytest

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.evaluate import (
    Metrics,
    describe,
    evaluate,
    metrics_file,
    predictions_file,
    write_submission,
)
from leukoscope.training.run import Run, RunConfig
from leukoscope.training.trainer import train


@pytest.fixture(scope="module")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = RunConfig.plan(
        store.folder, "resnet18", "lab", ["batch_size=8", "epochs=2"], threads=1, device="cpu"
    )
    made = Run.create(tmp_path_factory.mktemp("evaluated") / "run", config)
    train(made)
    return made


def test_predictions_are_one_row_a_cell_in_order(run: Run, store: Store) -> None:
    evaluate(run, "test")
    predictions = pd.read_parquet(predictions_file(run, "test"))
    expected = store.cells.iloc[store.rows("test")]
    assert predictions["id"].tolist() == expected["id"].tolist()
    assert predictions["label"].tolist() == expected["label"].tolist()
    assert predictions["probability"].between(0, 1).all()
    assert (predictions["call"] == (predictions["probability"] >= 0.5)).all()


def test_metrics_count_what_the_predictions_say(run: Run) -> None:
    metrics = evaluate(run, "validation")
    predictions = pd.read_parquet(predictions_file(run, "validation"))
    counted = [
        [
            int(((predictions["label"] == truth) & (predictions["call"] == call)).sum())
            for call in (0, 1)
        ]
        for truth in (0, 1)
    ]
    assert metrics.confusion == counted
    assert metrics.accuracy == (counted[0][0] + counted[1][1]) / len(predictions)
    assert Metrics.read(run, "validation") == metrics
    # The weights kept are those of the epoch that validated best.
    history = run.history.set_index("epoch")
    assert metrics.accuracy == pytest.approx(history.loc[metrics.epoch, "validation_accuracy"])
    assert f"accuracy {metrics.accuracy:.4f}" in describe(metrics)


def test_the_last_epoch_stands_beside_the_best(run: Run) -> None:
    best, last = evaluate(run, "test"), evaluate(run, "test", "last")
    assert last.epoch == 2
    assert Metrics.read(run, "test") == best
    assert metrics_file(run, "test", "last").exists()


def test_submission_has_the_kaggle_form(run: Run, tmp_path: Path) -> None:
    evaluate(run, "test")
    write_submission(run, "test", "best", tmp_path / "out.csv")
    predictions = pd.read_parquet(predictions_file(run, "test"))
    lines = [f"{cell.id},{cell.call}" for cell in predictions.itertuples()]
    assert (tmp_path / "out.csv").read_text().splitlines() == ["ID,label", *lines]


def test_what_cannot_be_evaluated_is_said(run: Run) -> None:
    with pytest.raises(BadInputError, match="'valid' is none of train, validation, test"):
        evaluate(run, "valid")
    with pytest.raises(BadInputError, match="was not evaluated on its train split"):
        Metrics.read(run, "train")
