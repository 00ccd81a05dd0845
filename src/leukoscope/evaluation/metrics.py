"""Metrics by their usual definitions, for one weighting of the cells or for thousands at once.

A bootstrap draws subjects, which is to weigh cells by whole numbers: all metrics of all draws come
from two matrix products and two cumulative sums.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ECE_BINS = 15
"""Bins of equal width over the probability of blast, as many as in Guo et al. 2017."""

CALL_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "weighted_f1",
)
"""They depend on the threshold from which a cell is called a blast."""

SCORE_METRICS = ("auroc", "average_precision", "brier", "ece")
"""They depend on the probabilities alone."""


@dataclass(frozen=True)
class Scored:
    """Cells with their true class and what a model says of them.

    Attributes:
        truth: (N,) bool, True for a blast.
        probability: (N,) float64, of blast.
    """

    truth: NDArray[np.bool_]
    probability: Floats

    def calls(self, threshold: float | Floats, weights: Floats) -> dict[str, Floats]:
        """Return each of `CALL_METRICS`, (B,), under B `weights` of the cells, (B, N).

        A blast is called from probability `threshold` on, one for all or (N,). ``weighted_f1`` is
        the mean of the two classes' F1 weighted by their cells. What is undefined, as specificity
        without a normal cell, is NaN.
        """
        call = self.probability >= threshold
        kinds = np.stack(
            [~self.truth & ~call, ~self.truth & call, self.truth & ~call, self.truth & call]
        )
        tn, fp, fn, tp = (weights @ kinds.T.astype(float)).T
        with np.errstate(invalid="ignore", divide="ignore"):
            sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
            f1_blast, f1_normal = 2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)
            cells = tn + fp + fn + tp
            shares = ((tp + fn) / cells, (tn + fp) / cells)
            return {
                "accuracy": (tp + tn) / cells,
                "balanced_accuracy": (sensitivity + specificity) / 2,
                "sensitivity": sensitivity,
                "specificity": specificity,
                "ppv": tp / (tp + fp),
                "npv": tn / (tn + fn),
                # A class without cells has no F1, and no say.
                "weighted_f1": sum(
                    np.where(share > 0, share * f1, 0)
                    for share, f1 in zip(shares, (f1_blast, f1_normal), strict=True)
                ),
            }

    def scores(self, weights: Floats) -> dict[str, Floats]:
        """Return each of `SCORE_METRICS`, (B,), under B `weights` of the cells, (B, N).

        ``brier`` is the mean squared difference of probability and class. ``ece``, the expected
        calibration error, is the mean over `ECE_BINS` bins of equal width, weighted by their
        cells, of |mean probability of blast - share of blasts|. AUROC and average precision are
        NaN where a class is missing.
        """
        true, false = self.cumulative(weights)
        blasts, normals = true[:, -1:], false[:, -1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            sensitivity, fallout = true / blasts, false / normals
            precision = true / (true + false)
            steps = np.diff(sensitivity, axis=1, prepend=0)
            # Where a draw has no cell up to a score yet, it makes no step there either.
            average_precision = np.where(steps > 0, steps * precision, 0).sum(axis=1)
            average_precision[blasts[:, 0] == 0] = np.nan
        error = self.probability - self.truth
        sums = weights @ np.column_stack([error**2, error[:, None] * self._bins])
        cells = weights.sum(axis=1)
        return {
            "auroc": np.trapezoid(
                np.pad(sensitivity, ((0, 0), (1, 0))), np.pad(fallout, ((0, 0), (1, 0))), axis=1
            ),
            "average_precision": average_precision,
            "brier": sums[:, 0] / cells,
            "ece": np.abs(sums[:, 1:]).sum(axis=1) / cells,
        }

    def cumulative(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return blasts and normal cells called blast as the threshold falls, (B, thresholds)."""
        order, ends = self._order
        drawn, truth = weights[:, order], self.truth[order]
        true = np.cumsum(drawn * truth, axis=1)[:, ends]
        return true, np.cumsum(drawn, axis=1)[:, ends] - true

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The cells by falling probability, and the last place of each run of equal ones."""
        order = np.argsort(-self.probability, kind="stable")
        ranked = self.probability[order]
        return order, np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)

    @cached_property
    def _bins(self) -> Floats:
        """(N, ECE_BINS) one where the cell's probability lies in the bin."""
        place = np.minimum((self.probability * ECE_BINS).astype(int), ECE_BINS - 1)
        bins: Floats = np.eye(ECE_BINS)[place]
        return bins
