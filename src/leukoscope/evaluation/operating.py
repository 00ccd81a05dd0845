"""How operating points are chosen: on validation cells, for what they do there."""

import numpy as np
from sklearn.metrics import roc_curve

from leukoscope.evaluation.bootstrap import CLASS_OF, Units, sample
from leukoscope.evaluation.metrics import Floats, Scored
from leukoscope.evaluation.point import EVEN, HALF, OperatingPoint

TARGET = 0.95
"""The sensitivity, or specificity, that two of the points must reach on validation."""


def operating_points(scored: Scored, units: Units, prevalence: float) -> list[OperatingPoint]:
    """Return the five points: 0.5, Youden's, sensitivity ≥ 0.95, specificity ≥ 0.95, prevalence.

    Youden's maximises sensitivity + specificity - 1 (Youden 1950). Of the thresholds that reach a
    target the one with the most of the other quantity is taken. A threshold lies half-way to the
    next validation cell, not on one: a new cell need not be as extreme.

    Args:
        scored: validation cells of both classes.
        units: their people.
        prevalence: share of blasts among the training cells: a threshold that the few people of
            a validation split cannot mislead.
    """
    fallout, sensitivity, reached = roc_curve(
        scored.truth, scored.probability, drop_intermediate=False
    )
    specificity = 1 - fallout
    # roc_curve's thresholds fall from infinity; each lies on the cells that it lets in last.
    thresholds = (np.minimum(reached, 1) + np.append(reached[1:], 0)) / 2
    chosen = {
        HALF: 0.5,
        "Youden": thresholds[np.argmax(sensitivity + specificity)],
        # Sensitivity rises along the curve, specificity falls: the first and the last that reach.
        f"sensitivity ≥ {TARGET}": thresholds[np.argmax(sensitivity >= TARGET)],
        f"specificity ≥ {TARGET}": thresholds[np.flatnonzero(specificity >= TARGET)[-1]],
        EVEN: prevalence,
    }
    return [_point(name, float(threshold), scored, units) for name, threshold in chosen.items()]


def curve(scored: Scored, units: Units) -> list[OperatingPoint]:
    """Return what the thresholds 0.01, 0.02, … 0.99 do, for whoever chooses one by hand.

    Args:
        scored: validation cells of both classes.
        units: their people.
    """
    thresholds = [percent / 100 for percent in range(1, 100)]
    return [_point(f"{threshold:g}", threshold, scored, units) for threshold in thresholds]


def _point(name: str, threshold: float, scored: Scored, units: Units) -> OperatingPoint:
    def both(weights: Floats) -> dict[str, Floats]:
        called = scored.calls(threshold, weights)
        return {metric: called[metric] for metric in ("sensitivity", "specificity")}

    found = sample(both, units)
    error = {
        metric: float(np.std(drawn)) if units.count(CLASS_OF[metric]) > 1 else None
        for metric, drawn in found.drawn.items()
    }
    return OperatingPoint(
        name=name,
        threshold=threshold,
        sensitivity=found.value["sensitivity"],
        specificity=found.value["specificity"],
        sensitivity_error=error["sensitivity"],
        specificity_error=error["specificity"],
    )
