"""How operating points are chosen: on validation cells, for what they do there."""

from collections.abc import Mapping

import numpy as np
from scipy import stats
from sklearn.metrics import roc_curve

from leukoscope.evaluation.bootstrap import CLASS_OF, LEVEL, Units, reach, sample
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
    return _points({name: float(threshold) for name, threshold in chosen.items()}, scored, units)


def curve(scored: Scored, units: Units) -> list[OperatingPoint]:
    """Return what the thresholds 0.01, 0.02, … 0.99 do, for whoever chooses one by hand.

    Args:
        scored: validation cells of both classes.
        units: their people.
    """
    thresholds = [percent / 100 for percent in range(1, 100)]
    return _points({f"{threshold:g}": threshold for threshold in thresholds}, scored, units)


def _points(thresholds: Mapping[str, float], scored: Scored, units: Units) -> list[OperatingPoint]:
    called = scored.probability[:, None] >= np.array(list(thresholds.values()))
    right = (called == scored.truth[:, None]).astype(float)
    cells_of = {"sensitivity": scored.truth.astype(float), "specificity": 1.0 - scored.truth}

    def shares(weights: Floats) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for metric, cells in cells_of.items():
            share = (weights * cells @ right) / (weights @ cells)[:, None]
            names = [f"{name} {metric}" for name in thresholds]
            found |= dict(zip(names, share.T, strict=True))
        return found

    drawn = sample(shares, units)

    def error(name: str, metric: str) -> float | None:
        people = units.count(CLASS_OF[metric])
        return new_person_error(float(np.std(drawn.drawn[f"{name} {metric}"])), people)

    return [
        OperatingPoint(
            name=name,
            threshold=threshold,
            sensitivity=drawn.value[f"{name} sensitivity"],
            specificity=drawn.value[f"{name} specificity"],
            sensitivity_error=error(name, "sensitivity"),
            specificity_error=error(name, "specificity"),
        )
        for name, threshold in thresholds.items()
    ]


def new_person_error(error: float, people: int) -> float | None:
    """Return how far a new person's share may lie from a mean share, as a standard deviation.

    A new person differs from the mean of `people` by √(people + 1) times its standard error; how
    much people differ is known the less, the fewer they are (Student's t).

    Args:
        error: standard error of the mean over people.
        people: how many there were; of one nothing is known of others: None.
    """
    if people < 2:
        return None
    return error * float(np.sqrt(people + 1) * reach(people) / stats.norm.ppf((1 + LEVEL) / 2))
