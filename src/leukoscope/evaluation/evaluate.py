"""How good a trained network is on cells it did not train on, and how far that can be trusted.

Everything that is fitted, a temperature and the operating points, is fitted on validation cells;
the cells that judge only read it. What is written where: `leukoscope.evaluation.result`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from leukoscope.cells.store import Store
from leukoscope.evaluation import baselines, reads, shift
from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.calibration import fit_temperature, probability
from leukoscope.evaluation.judgement import judge
from leukoscope.evaluation.metrics import Scored
from leukoscope.evaluation.operating import operating_points
from leukoscope.evaluation.predictions import predict, predict_others
from leukoscope.evaluation.result import (
    Evaluation,
    Settled,
    metrics_file,
    predictions_file,
    settled_file,
    subjects_file,
)
from leukoscope.evaluation.subjects import by_subject
from leukoscope.files import atomic
from leukoscope.training.checkpoint import Checkpoint
from leukoscope.training.run import Run, Which


def evaluate(run: Run, split: str = "test", which: Which = "best") -> Evaluation:
    """Judge `run` on a split of its store and write everything into the run folder.

    Raises:
        BadInputError: no such split, or no cells in it.
    """
    predictions = predict(run, split, which)
    if split == "test":
        reads.record(run, which, _epoch(run, which))
    store = run.open_store()
    features = baselines.shortcuts(store.pixels[store.rows(split)])
    return _judged(run, split, which, predictions, _training_features(store), features)


def evaluate_others(run: Run, cells: pd.DataFrame, name: str, which: Which = "best") -> Evaluation:
    """Judge `run` on other `cells`, a manifest, by what its own validation cells settled.

    The evaluation is called ``external-<name>`` and says where the pictures lie outside what the
    network was trained on.

    Raises:
        BadInputError: pictures cannot be read; all are listed.
    """
    predictions, pixels = predict_others(run, cells, which)
    features = baselines.shortcuts(pixels)
    store = run.open_store()
    training = _training_features(store)
    external = {
        "shifts": shift.measured(training, features),
        "known_subjects": sorted(set(store.cells["subject"].dropna()) & set(cells["subject"])),
    }
    return _judged(run, f"external-{name}", which, predictions, training, features, external)


def settle(run: Run, which: Which = "best") -> Settled:
    """Return temperature and operating points of those weights, fitted on validation if need be."""
    path, epoch = settled_file(run, which), _epoch(run, which)
    if path.exists():
        kept = Settled.model_validate_json(path.read_text(encoding="utf-8"))
        if kept.epoch == epoch:
            return kept
    cells = predict(run, "validation", which)
    logit, truth = cells["logit"].to_numpy(), cells["label"].eq(1).to_numpy(dtype=bool)
    temperature = fit_temperature(logit, truth)
    scored = Scored(truth, probability(logit, temperature))
    points = operating_points(scored, Units.of(cells["person"], truth))
    return Settled(epoch=epoch, temperature=temperature, points=points).write(path)


def _judged(
    run: Run,
    name: str,
    which: Which,
    predictions: pd.DataFrame,
    training: pd.DataFrame,
    features: pd.DataFrame,
    external: Mapping[str, Any] = {},
) -> Evaluation:
    settled, store = settle(run, which), run.open_store()
    logit = predictions["logit"].to_numpy()
    predictions["calibrated"] = probability(logit, settled.temperature)
    blasts = store.labels[store.rows("train")] == 1
    predictions = predictions.assign(**baselines.scores(training, blasts, features))
    with atomic(predictions_file(run, name, which)) as scratch:
        predictions.to_parquet(scratch, index=False)

    labelled = predictions.dropna(subset=["label"]).astype({"label": int}).reset_index(drop=True)
    people = labelled.groupby("label")["person"].nunique()
    evaluation = Evaluation(
        name=name,
        checkpoint=which,
        epoch=settled.epoch,
        temperature=settled.temperature,
        cells=len(labelled),
        normal_subjects=int(people.get(0, 0)),
        blast_subjects=int(people.get(1, 0)),
        **external,
    )
    if len(labelled):
        with atomic(subjects_file(run, name, which)) as scratch:
            table = by_subject(labelled, settled.points[0])
            table.to_csv(scratch, index=False, lineterminator="\n")
        found = judge(labelled, {point: point.threshold for point in settled.points})
        evaluation = evaluation.model_copy(update=dict(found))
    return evaluation.write(metrics_file(run, name, which))


def write_submission(run: Run, split: str, which: Which, path: Path) -> None:
    """Write the Kaggle form ``ID,label``: each cell's id and call, in the manifest's order."""
    predictions = pd.read_parquet(predictions_file(run, split, which))
    table = predictions[["id", "call"]].set_axis(["ID", "label"], axis=1)
    with atomic(path) as scratch:
        table.to_csv(scratch, index=False, lineterminator="\n")


def _training_features(store: Store) -> pd.DataFrame:
    return baselines.shortcuts(store.pixels[store.rows("train")])


def _epoch(run: Run, which: Which) -> int:
    return Checkpoint.load(run.checkpoint(which)).progress.epoch
