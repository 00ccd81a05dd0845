"""Curves over every threshold, with bands: ROC, precision and recall, and the decision curve.

A band is pointwise: at each place of its axis the 95 % interval over people of
`leukoscope.evaluation.bootstrap`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from leukoscope.evaluation.bootstrap import Units, interval, sample
from leukoscope.evaluation.metrics import Floats, Scored

GRID = np.linspace(0, 1, 101)
"""Where the bands over fallout and over sensitivity are taken."""

THRESHOLDS = np.arange(1, 100) / 100
"""Where the decision curve is taken."""


def roc(scored: Scored) -> pd.DataFrame:
    """Return the ROC curve's corners: fallout (1 - specificity) and sensitivity, from 0 to 1.

    Args:
        scored: cells of both classes.
    """
    fallout, sensitivity, _ = roc_curve(scored.truth, scored.probability)
    return pd.DataFrame({"fallout": fallout, "sensitivity": sensitivity})


def roc_band(scored: Scored, units: Units) -> pd.DataFrame:
    """Return the band of the ROC curve: fallout (of `GRID`), then sensitivity there, low and high.

    Between two corners sensitivity lies on the straight line, as for the area; where it jumps, the
    upper end counts.

    Args:
        scored: cells of both classes.
        units: their people.
    """

    def sensitivity(weights: Floats) -> Floats:
        true, false = scored.cumulative(weights)
        drawn = (np.pad(counts / counts[:, -1:], ((0, 0), (1, 0))) for counts in (false, true))
        return np.stack([np.interp(GRID, *row) for row in zip(*drawn, strict=True)])

    return _band("fallout", GRID, "sensitivity", sensitivity, units)


def precision_recall(scored: Scored) -> pd.DataFrame:
    """Return the curve of precision (positive predictive value) over sensitivity, by threshold.

    From the highest threshold down, so that sensitivity rises. It has no straight lines: between
    two thresholds the next one's precision holds, as for average precision.

    Args:
        scored: cells of both classes.
    """
    precision, sensitivity, _ = precision_recall_curve(scored.truth, scored.probability)
    # Its last point, sensitivity 0 with precision 1, is a convention and belongs to no threshold.
    return pd.DataFrame({"sensitivity": sensitivity, "precision": precision})[-2::-1].reset_index(
        drop=True
    )


def precision_recall_band(scored: Scored, units: Units) -> pd.DataFrame:
    """Return the band of that curve: sensitivity (of `GRID`), then precision there, low and high.

    The precision at a sensitivity is that of the highest threshold which reaches it; at 0, that of
    the highest threshold which finds a blast.

    Args:
        scored: cells of both classes.
        units: their people.
    """

    def precision(weights: Floats) -> Floats:
        true, false = scored.cumulative(weights)
        rows = []
        for found, wrong in zip(true, false, strict=True):
            # Cells are counted in whole numbers: half of one tells apart what rounding blurs.
            wanted = np.maximum(GRID * found[-1] - 0.5, 0.5)
            place = np.searchsorted(found, wanted)
            rows.append(found[place] / (found[place] + wrong[place]))
        return np.stack(rows)

    return _band("sensitivity", GRID, "precision", precision, units)


def net_benefit(scored: Scored, weights: Floats) -> Floats:
    """Return the net benefit at each of `THRESHOLDS`, (B, 99), under B `weights`, (B, N).

    At a threshold probability t, a false call of blast is worth t / (1 - t) of a true one:
    (true calls - false calls · t / (1 - t)) / cells. Vickers and Elkin 2006, Medical Decision
    Making 26(6).
    """
    called = (scored.probability[:, None] >= THRESHOLDS).astype(float)
    true = weights @ (called * scored.truth[:, None])
    false = weights @ (called * ~scored.truth[:, None])
    benefit: Floats = (true - false * _exchange()) / weights.sum(axis=1, keepdims=True)
    return benefit


def net_benefit_of_all(scored: Scored, weights: Floats) -> Floats:
    """Return likewise the net benefit of calling every cell a blast; of calling none it is 0."""
    share: Floats = (weights @ scored.truth / weights.sum(axis=1))[:, None]
    return share - (1 - share) * _exchange()


def decision_curve(scored: Scored, units: Units) -> pd.DataFrame:
    """Return the decision curve, a row for each of `THRESHOLDS`.

    Columns: threshold, net_benefit, low, high, call_all (the net benefit of calling every cell a
    blast), gain (what the network adds to the better of calling all and calling none), gain_low,
    gain_high.

    Args:
        scored: cells, with probabilities that are calibrated.
        units: their people.
    """

    def both(weights: Floats) -> Floats:
        network = net_benefit(scored, weights)
        simple = np.maximum(net_benefit_of_all(scored, weights), 0)
        return np.hstack([network, network - simple])

    values = _with_limits(both, units)
    one, two = values[: len(THRESHOLDS)], values[len(THRESHOLDS) :]
    table = pd.DataFrame({"threshold": THRESHOLDS})
    table[["net_benefit", "low", "high"]] = one
    table["call_all"] = net_benefit_of_all(scored, np.ones((1, len(scored.truth))))[0]
    table[["gain", "gain_low", "gain_high"]] = two
    return table


def _exchange() -> Floats:
    """Return how many true calls of blast a false one is worth, at each threshold."""
    odds: Floats = THRESHOLDS / (1 - THRESHOLDS)
    return odds


def _band(
    axis: str, grid: Floats, name: str, rows: Callable[[Floats], Floats], units: Units
) -> pd.DataFrame:
    """Return `rows` of all cells, and its interval, at each place of `grid`."""
    table = pd.DataFrame({axis: grid})
    table[[name, "low", "high"]] = _with_limits(rows, units)
    return table


def _with_limits(rows: Callable[[Floats], Floats], units: Units) -> Floats:
    """Return (G, 3): `rows` of all cells, which is (B, G) under B weights, low and high."""

    def statistic(weights: Floats) -> dict[str, Floats]:
        return {str(place): values for place, values in enumerate(rows(weights).T)}

    found = sample(statistic, units)
    return np.array([(found.value[i], *interval(found.drawn[i], units)) for i in found.value])
