"""Evaluation: numbers that a person can check, what validation settles, and files others read."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from leukoscope.cells.division import Division
from leukoscope.cells.prepare import prepare
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation import reads
from leukoscope.evaluation.describe import describe
from leukoscope.evaluation.evaluate import evaluate, evaluate_others, settle, write_submission
from leukoscope.evaluation.predictions import predict
from leukoscope.evaluation.result import (
    Evaluation,
    metrics_file,
    predictions_file,
    read_subjects,
    settled_file,
    subjects_file,
)
from leukoscope.spreadsheet import write_csv
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


@pytest.fixture(scope="module")
def tested(run: Run) -> Evaluation:
    return evaluate(run, "test")


def test_predictions_are_one_row_a_cell_in_order(
    run: Run, tested: Evaluation, store: Store
) -> None:
    predictions = pd.read_parquet(predictions_file(run, "test"))
    expected = store.cells.iloc[store.rows("test")]
    for column in ("id", "label", "person"):
        assert predictions[column].tolist() == expected[column].tolist()
    logit = predictions["logit"].to_numpy()
    assert predictions["probability"].to_numpy() == pytest.approx(1 / (1 + np.exp(-logit)))
    softened = 1 / (1 + np.exp(-logit / tested.temperature))
    assert predictions["calibrated"].to_numpy() == pytest.approx(softened)
    assert (predictions["call"] == (predictions["calibrated"] >= 0.5)).all()


def test_figures_say_what_the_predictions_say(run: Run, tested: Evaluation) -> None:
    predictions = pd.read_parquet(predictions_file(run, "test")).astype({"label": int})
    truth, call = predictions["label"], predictions["call"]
    assert (
        tested.confusion
        == pd.crosstab(truth, call)
        .reindex(index=[0, 1], columns=[0, 1], fill_value=0)
        .to_numpy()
        .tolist()
    )
    assert tested.accuracy == pytest.approx((truth == call).mean())
    assert tested.scores["auroc"].value == pytest.approx(
        roc_auc_score(truth, predictions["probability"])
    )
    assert tested.cells == len(predictions)
    people = predictions.groupby("label")["person"].nunique()
    assert (tested.normal_subjects, tested.blast_subjects) == (people[0], people[1])
    assert Evaluation.read(run, "test") == tested


def test_a_prediction_can_be_the_mean_over_the_turns(run: Run) -> None:
    averaged = replace(
        run,
        config=run.config.model_copy(
            update={"recipe": run.config.recipe.model_copy(update={"turns_averaged": True})}
        ),
    )
    store, rows = run.open_store(), run.open_store().rows("test")
    pixels = torch.tensor(store.pixels[rows])
    model = run.load_model()
    mean, std = torch.tensor(store.info.mean), torch.tensor(store.info.std)
    looks = []
    for picture in (pixels, pixels.flip(2)):
        for quarter in range(4):
            turned = torch.rot90(picture, quarter, (1, 2))
            with torch.inference_mode():
                logits = model(((turned / 255 - mean) / std).permute(0, 3, 1, 2))
            looks.append(logits[:, 1] - logits[:, 0])
    expected = torch.stack(looks).mean(0).numpy()
    found = predict(averaged, "test")["logit"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_validation_figures_are_those_of_the_epoch_that_was_kept(run: Run) -> None:
    validated = evaluate(run, "validation")
    history = run.history.set_index("epoch")
    assert validated.accuracy == pytest.approx(history.loc[validated.epoch, "validation_accuracy"])


def test_thresholds_and_temperature_come_from_validation_alone(
    run: Run, tested: Evaluation
) -> None:
    settled = settle(run)
    validated = evaluate(run, "validation")
    assert tested.temperature == validated.temperature == settled.temperature
    for judged, chosen in zip(tested.calls, settled.points, strict=True):
        assert judged.point == chosen
    # On the cells that they were chosen by they do what they say.
    for judged in validated.calls:
        assert judged.metrics["sensitivity"].value == pytest.approx(judged.point.sensitivity)
        assert judged.metrics["specificity"].value == pytest.approx(judged.point.specificity)
    kept = settled_file(run, "best").stat().st_mtime_ns
    evaluate(run, "test")
    assert settled_file(run, "best").stat().st_mtime_ns == kept


def test_a_balanced_run_calls_by_its_prior_everywhere(cells: pd.DataFrame, tmp_path: Path) -> None:
    # Two thirds of the cells are blasts, which a network that draws both alike cannot know.
    some = (cells["label"] == 1) | cells["cell"].le(3)
    settings = ["batch_size=8", "epochs=1", "balance=class"]
    uneven = prepare(cells[some], tmp_path / "store", size=32)
    config = RunConfig.plan(uneven.folder, "resnet18", "lab", settings, threads=1, device="cpu")
    run = Run.create(tmp_path / "run", config)
    train(run)
    found = evaluate(run, "test")
    assert found.prior == settle(run).prior == pytest.approx(np.log(2), abs=0.3)
    predictions = pd.read_parquet(predictions_file(run, "test"))
    logit = predictions["logit"] / found.temperature + found.prior
    np.testing.assert_allclose(predictions["calibrated"], 1 / (1 + np.exp(-logit)))
    assert (predictions["call"] == (logit >= 0)).all()
    assert found.accuracy == pytest.approx((predictions["call"] == predictions["label"]).mean())
    table = pd.read_csv(subjects_file(run, "test"))
    assert (table["accuracy"] * table["cells"]).sum() / table["cells"].sum() == pytest.approx(
        found.accuracy
    )


def test_an_evaluation_of_an_older_version_is_said(run: Run, tested: Evaluation) -> None:
    path = metrics_file(run, "test")
    kept = path.read_text(encoding="utf-8")
    older = json.loads(kept)
    del older["prior"]
    path.write_text(json.dumps(older), encoding="utf-8")
    with pytest.raises(BadInputError, match="evaluate again: leukoscope evaluate"):
        Evaluation.read(run, "test")
    path.write_text(kept, encoding="utf-8")
    assert Evaluation.read(run, "test") == tested


def test_what_an_older_version_settled_is_settled_anew(run: Run) -> None:
    settled = settle(run)
    older = settled.model_dump(exclude={"prior"}) | {"temperature": 9.0}
    settled_file(run, "best").write_text(json.dumps(older), encoding="utf-8")
    assert settle(run) == settled


def test_subjects_stand_in_a_table_of_their_own(run: Run, tested: Evaluation) -> None:
    table = pd.read_csv(subjects_file(run, "test"))
    predictions = pd.read_parquet(predictions_file(run, "test"))
    assert table["cells"].sum() == len(predictions)
    assert set(table["subject"]) == set(predictions["subject"])
    assert table["accuracy"].is_monotonic_increasing


def test_a_second_look_at_the_test_split_is_recorded(run: Run, tested: Evaluation) -> None:
    evaluate(run, "test")
    assert reads.read(run)["epoch"].tolist() == [tested.epoch]
    last = evaluate(run, "test", "last")
    looks = {tested.epoch, last.epoch}
    assert set(reads.read(run)["epoch"]) == looks
    assert Evaluation.read(run, "test") == tested
    assert metrics_file(run, "test", "last").exists()
    said = describe(run, last)
    assert ("looked at with 2 different weights" in said) == (len(looks) == 2)


def test_other_cells_are_judged_by_the_runs_own_validation(
    run: Run, tested: Evaluation, store: Store, cells: pd.DataFrame
) -> None:
    same = cells.iloc[store.rows("test")].reset_index(drop=True)
    others = evaluate_others(run, same, "elsewhere")
    # The test split's own pictures, prepared anew: the same calls, to the last digit.
    ours, theirs = (
        pd.read_parquet(predictions_file(run, name)) for name in ("test", "external-elsewhere")
    )
    assert np.array_equal(ours["logit"], theirs["logit"])
    assert others.scores == tested.scores
    assert [calls.point for calls in others.calls] == [calls.point for calls in tested.calls]
    assert {shift.feature for shift in others.shifts} >= {"area", "mean_red"}
    assert others.known_subjects == sorted(set(same["subject"]))
    assert "names that stand in the run's own store" in describe(run, others)


def test_cells_unlike_the_training_ones_are_warned_of(
    run: Run, cells: pd.DataFrame, tmp_path: Path
) -> None:
    from PIL import Image, ImageOps

    stained = cells.iloc[:12].copy()
    for row, path in zip(stained.index, stained["path"], strict=True):
        target = tmp_path / Path(path).name
        with Image.open(path) as picture:
            red, green, blue = picture.split()
            Image.merge("RGB", (blue, red, ImageOps.autocontrast(green))).save(target)
        stained.loc[row, "path"] = str(target)
    stained["subject"] = "elsewhere:" + stained["subject"]
    found = evaluate_others(run, stained, "stain")
    assert not found.known_subjects
    warned = {shift.feature for shift in found.shifts if shift.warns}
    assert "mean_red" in warned
    assert "area" not in warned
    assert "warning: 100% of these cells lie outside the training cells in mean_" in describe(
        run, found
    )


def test_cells_without_labels_are_called_and_not_judged(run: Run, cells: pd.DataFrame) -> None:
    unlabelled = cells.iloc[:5].assign(label=pd.array([pd.NA] * 5, dtype="Int64"))
    found = evaluate_others(run, unlabelled, "unknown")
    assert (found.cells, found.accuracy, found.calls) == (0, None, [])
    assert "no labels, so no figures" in describe(run, found)


def test_an_interval_without_width_is_no_certainty(run: Run, tested: Evaluation) -> None:
    sure = tested.scores["auroc"].model_copy(update={"value": 1.0, "low": 1.0, "high": 1.0})
    scores = tested.scores | {"auroc": sure}
    alike = tested.model_copy(
        update={"scores": scores, "normal_subjects": 10, "blast_subjects": 10}
    )
    # Clopper and Pearson's one-sided limit of 0 failures in n: 1 - 0.05 ** (1 / n).
    assert "after 10 alike, as many as 26% of all" in describe(run, alike)
    assert len(pd.read_parquet(predictions_file(run, "external-unknown"))) == 5


def test_submission_has_the_kaggle_form(run: Run, tested: Evaluation, tmp_path: Path) -> None:
    write_submission(run, "test", "best", tmp_path / "out.csv")
    predictions = pd.read_parquet(predictions_file(run, "test"))
    lines = [f"{cell.id},{cell.call}" for cell in predictions.itertuples()]
    assert (tmp_path / "out.csv").read_text().splitlines() == ["ID,label", *lines]


def test_what_cannot_be_evaluated_is_said(run: Run) -> None:
    with pytest.raises(BadInputError, match="'valid' is none of train, validation, test"):
        evaluate(run, "valid")
    with pytest.raises(BadInputError, match="was not evaluated on its train split"):
        Evaluation.read(run, "train")


def test_validation_by_people_trained_on_promises_nothing(
    run: Run, store: Store, tmp_path: Path
) -> None:
    assert settle(run).review.most >= 0.5
    settings = ["batch_size=8", "epochs=1"]
    machine = {"threads": 1, "device": "cpu", "division": Division(split="lab")}
    config = RunConfig.plan(store.folder, "resnet18", "lab", settings, **machine)
    by_image = Run.create(tmp_path / "run", config)
    train(by_image)
    assert settle(by_image).review.most == 0


def test_names_of_subjects_come_back_as_they_were(tmp_path: Path) -> None:
    class Judged:
        folder = tmp_path

    names = ["007", "NA", "=1+1", "1e3"]
    table = pd.DataFrame({"subject": names, "accuracy": 0.5, "blast_share_low": np.nan})
    write_csv(table, subjects_file(Judged(), "test"))
    found = read_subjects(Judged(), "test")
    assert found["subject"].tolist() == names
    assert found["blast_share_low"].isna().all()
