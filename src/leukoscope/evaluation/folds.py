"""The folds of one network, judged as one: each person is tested once, by a run new to them.

Each run brings its own temperature, thresholds and baselines, as its own validation and training
cells settled them. So the figures are those of the way a network is made, not of one network.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from leukoscope.evaluation.evaluate import settle
from leukoscope.evaluation.judgement import judge
from leukoscope.evaluation.metrics import Floats
from leukoscope.evaluation.point import OperatingPoint
from leukoscope.evaluation.pooled import pool
from leukoscope.evaluation.result import Evaluation, read_subjects
from leukoscope.evaluation.subjects import worst_first
from leukoscope.training.run import Run


def evaluate_folds(runs: Sequence[Run]) -> tuple[Evaluation, pd.DataFrame, pd.DataFrame]:
    """Judge the test cells of all `runs` together; each was evaluated on its own.

    Returns:
        The evaluation, whose operating points have the mean of the runs' thresholds; the labelled
        predictions, in the order of ids; and the subjects, as from `subjects.by_subject`.

    Raises:
        BadInputError: a cell was tested twice.
    """
    (cells,) = pool(runs).values()
    settled = [settle(run) for run in runs]
    fold = cells["run"].to_numpy()
    points: dict[OperatingPoint, float | Floats] = {}
    for same in zip(*(one.points for one in settled), strict=True):
        thresholds = np.array([point.threshold for point in same])
        points[_mean(same)] = thresholds[fold]
    people = cells.groupby("label")["person"].nunique()
    evaluation = Evaluation(
        name="test",
        checkpoint="best",
        epoch=None,
        temperature=None,
        prior=None,
        cells=len(cells),
        normal_subjects=int(people.get(0, 0)),
        blast_subjects=int(people.get(1, 0)),
        **judge(cells, points),
    )
    tables = [read_subjects(run, "test") for run in runs]
    return evaluation, cells, worst_first(pd.concat(tables))


def _mean(points: Sequence[OperatingPoint]) -> OperatingPoint:
    numbers = pd.DataFrame([point.model_dump(exclude={"name"}) for point in points]).mean()
    return OperatingPoint(name=points[0].name, **numbers)
