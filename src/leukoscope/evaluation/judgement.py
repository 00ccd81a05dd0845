"""From labelled predictions to numbers with intervals."""

import math
from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from leukoscope.evaluation.baselines import BASELINES
from leukoscope.evaluation.bootstrap import Statistic, Units, interval, sample
from leukoscope.evaluation.metrics import CALL_METRICS, Floats, Scored
from leukoscope.evaluation.point import HALF, OperatingPoint
from leukoscope.evaluation.result import Baseline, Calls, Estimate


class Judgement(TypedDict):
    """The fields of an `Evaluation` that need labels."""

    scores: dict[str, Estimate]
    calls: list[Calls]
    baselines: list[Baseline]


class Estimator:
    """Estimates of all values of one statistic: drawn once by person, once by cell."""

    def __init__(self, statistic: Statistic, units: Units) -> None:
        self.units, self.cells = units, Units.cells(units.truth)
        self.by_unit, self.by_cell = sample(statistic, units), sample(statistic, self.cells)

    def __call__(self, key: str, metric: str = "") -> Estimate:
        """Return the estimate of the statistic's `key`, whose name as a metric is `metric`."""
        low, high = interval(self.by_unit.drawn[key], self.units, metric)
        cell_low, cell_high = interval(self.by_cell.drawn[key], self.cells, metric)
        numbers = (self.by_unit.value[key], low, high, cell_low, cell_high)
        fields = ("value", "low", "high", "cell_low", "cell_high")
        return Estimate(
            **{
                field: number if math.isfinite(number) else None
                for field, number in zip(fields, numbers, strict=True)
            }
        )


def judge(labelled: pd.DataFrame, points: Mapping[OperatingPoint, float | Floats]) -> Judgement:
    """Return every metric of `labelled` predictions, with intervals over people and over cells.

    Args:
        labelled: N predictions with columns person, label (0, 1), probability, calibrated, and a
            column for each of `BASELINES`.
        points: operating points, 0.5 first, with their threshold, or each cell's own, (N,).
    """
    truth = labelled["label"].eq(1).to_numpy(dtype=bool)
    scored = Scored(truth, labelled["calibrated"].to_numpy())
    uncalibrated = Scored(truth, labelled["probability"].to_numpy())
    others = {name: Scored(truth, labelled[name].to_numpy()) for name in BASELINES}

    def statistic(weights: Floats) -> dict[str, Floats]:
        found = scored.scores(weights)
        before = uncalibrated.scores(weights)
        found |= {f"{name}_uncalibrated": before[name] for name in ("brier", "ece")}
        for point, threshold in points.items():
            called = scored.calls(threshold, weights)
            found |= {f"{point.name} {name}": value for name, value in called.items()}
        for name, other in others.items():
            auroc = other.scores(weights)["auroc"]
            accuracy = other.calls(0.5, weights)["accuracy"]
            found |= {f"{name} auroc": auroc, f"{name} accuracy": accuracy}
            found[f"{name} auroc_gain"] = found["auroc"] - auroc
            found[f"{name} accuracy_gain"] = found[f"{HALF} accuracy"] - accuracy
        return found

    estimate = Estimator(statistic, Units.of(labelled["person"], truth))
    scores = [*scored.scores(np.ones((1, len(truth)))), "brier_uncalibrated", "ece_uncalibrated"]
    gains = ("auroc", "auroc_gain", "accuracy", "accuracy_gain")
    return {
        "scores": {name: estimate(name) for name in scores},
        "calls": [
            Calls(
                point=point,
                confusion=confusion_matrix(
                    truth, scored.probability >= threshold, labels=[False, True]
                ).tolist(),
                metrics={
                    name: estimate(f"{point.name} {name}", metric=name) for name in CALL_METRICS
                },
            )
            for point, threshold in points.items()
        ],
        "baselines": [
            Baseline(name=name, **{gain: estimate(f"{name} {gain}") for gain in gains})
            for name in others
        ],
    }
