"""How good a trained network is on cells it did not train on, and how far that can be trusted.

Everything that is fitted, a temperature and the operating points, is fitted on validation cells;
the cells that judge only read it. What is written where: `leukoscope.evaluation.result`.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from leukoscope.cells import splits
from leukoscope.cells.features import features, features_of
from leukoscope.cells.outside import OUTSIDE
from leukoscope.errors import BadInputError
from leukoscope.evaluation import baselines, reads, shift
from leukoscope.evaluation.calibration import probability
from leukoscope.evaluation.ensemble import Ensemble
from leukoscope.evaluation.judgement import judge
from leukoscope.evaluation.predictions import predict, predict_others, prepared
from leukoscope.evaluation.prevalence import Prevalence
from leukoscope.evaluation.result import (
    Evaluation,
    Judged,
    Settled,
    metrics_file,
    predictions_file,
    settled_file,
    subjects_file,
)
from leukoscope.evaluation.subjects import by_subject
from leukoscope.files import atomic
from leukoscope.spreadsheet import write_csv
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
    measured, trained = features_of(store), store.rows("train")
    blasts = store.labels[trained] == 1
    known, judged = measured.iloc[trained], measured.iloc[store.rows(split)]
    predictions = predictions.assign(**baselines.scores(known, blasts, judged))
    return _judged(run, split, which, settle(run, which), predictions)


def evaluate_others(
    judged: Run | Ensemble, cells: pd.DataFrame, name: str, which: Which = "best"
) -> Evaluation:
    """Judge a run or an ensemble on other `cells`, a manifest, by what its own cells settled.

    The evaluation is called ``external-<name>`` and says where the pictures lie outside what was
    trained on.

    Raises:
        BadInputError: pictures cannot be read (all are listed), or the last epochs of an ensemble
            are asked for: its runs were tested with their best ones.
    """
    if isinstance(judged, Run):
        runs, store, settled = [judged], judged.open_store(), settle(judged, which)
        trained = store.rows("train")
    elif which == "best":
        runs, store, settled = judged.runs, judged.runs[0].open_store(), judged.settled()
        trained = np.flatnonzero(store.labels >= 0)
    else:
        raise BadInputError("an ensemble takes each run's best weights, not the last ones")
    pixels = prepared(cells, store.info.preprocessing)
    predictions = predict_others(runs, cells, pixels, which)
    others = features(pixels)
    known, blasts = features_of(store).iloc[trained], store.labels[trained] == 1
    predictions = predictions.assign(**baselines.scores(known, blasts, others))
    external = {
        "shifts": shift.measured(known[OUTSIDE], others),
        "known_subjects": sorted(set(store.cells["subject"].dropna()) & set(cells["subject"])),
    }
    return _judged(judged, f"external-{name}", which, settled, predictions, external)


def settle(run: Run, which: Which = "best") -> Settled:
    """Return what validation decides of those weights, from the run folder or anew."""
    path, epoch = settled_file(run, which), _epoch(run, which)
    if path.exists():
        with suppress(ValidationError):  # of an older form: settled anew
            kept = Settled.model_validate_json(path.read_text(encoding="utf-8"))
            if kept.epoch == epoch:
                return kept
    cells = predict(run, "validation", which)
    new = not splits.shared_people(run.open_store().cells)
    return Settled.by(cells, Prevalence.of([run]), epoch, new).write(path)


def _judged(
    judged: Judged,
    name: str,
    which: Which,
    settled: Settled,
    predictions: pd.DataFrame,
    external: Mapping[str, Any] = {},
) -> Evaluation:
    logit = predictions["logit"].to_numpy()
    calibrated = probability(logit, settled.temperature, settled.prior)
    called = (calibrated >= settled.points[0].threshold).astype(int)
    predictions = predictions.assign(calibrated=calibrated, call=pd.array(called, dtype="Int64"))
    with atomic(predictions_file(judged, name, which)) as scratch:
        predictions.to_parquet(scratch, index=False)

    labelled = predictions.dropna(subset=["label"]).astype({"label": int}).reset_index(drop=True)
    people = labelled.groupby("label")["person"].nunique()
    evaluation = Evaluation(
        name=name,
        checkpoint=which,
        epoch=settled.epoch,
        temperature=settled.temperature,
        prior=settled.prior,
        cells=len(labelled),
        normal_subjects=int(people.get(0, 0)),
        blast_subjects=int(people.get(1, 0)),
        **external,
    )
    if len(labelled):
        table = by_subject(labelled, settled.points[0])
        write_csv(table, subjects_file(judged, name, which))
        found = judge(labelled, {point: point.threshold for point in settled.points})
        evaluation = evaluation.model_copy(update=dict(found))
    return evaluation.write(metrics_file(judged, name, which))


def write_submission(judged: Judged, split: str, which: Which, path: Path) -> None:
    """Write the Kaggle form ``ID,label``: each cell's id and call, in the manifest's order."""
    predictions = pd.read_parquet(predictions_file(judged, split, which))
    table = predictions[["id", "call"]].set_axis(["ID", "label"], axis=1)
    write_csv(table, path)


def _epoch(run: Run, which: Which) -> int:
    return Checkpoint.load(run.checkpoint(which)).progress.epoch
