"""Two networks on the same cells: is one better, or is that undecided?

The headline is a paired bootstrap over subjects: both are weighed by the same draws. DeLong's test
of AUROCs and McNemar's of calls take cells for independent, which cells of one subject are not;
they are here to be compared with other reports, and optimistic.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from leukoscope.evaluation.bootstrap import Statistic, Units, reach
from leukoscope.evaluation.judgement import Estimator
from leukoscope.evaluation.metrics import Floats, Scored
from leukoscope.evaluation.pooled import averaged
from leukoscope.evaluation.result import Estimate

METRICS = ("auroc", "accuracy", "balanced_accuracy")

POWER, SIMULATED = 0.8, 500
"""How often a study should decide, and how many are simulated."""

LARGER = (1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Sizes of a study, relative to this one, that are tried to find one that decides."""


@dataclass(frozen=True)
class Difference:
    """The second network less the first, on one metric.

    Attributes:
        metric: its name.
        estimate: the difference, with intervals; it is decided where they are `clear` of 0.
        subjects_needed: how many subjects a study needs to decide with a chance of 0.8, if the
            difference is what it seems; None if decided, or if 32 times as many are too few.
    """

    metric: str
    estimate: Estimate
    subjects_needed: int | None


def differences(
    first: Sequence[Scored], second: Sequence[Scored], units: Units
) -> list[Difference]:
    """Return how `second` differs from `first` on each of `METRICS`.

    Args:
        first: what each seed of one network says of N cells.
        second: likewise, of the same cells in the same order.
        units: the people whose cells they are.
    """
    statistic = less(first, second, METRICS)
    estimate = Estimator(statistic, units)
    found = []
    for metric in METRICS:
        difference = estimate(metric)
        open_ = difference.low is not None and not difference.clear
        needed = _subjects_needed(statistic, units, metric) if open_ else None
        found.append(Difference(metric, difference, needed))
    return found


def less(first: Sequence[Scored], second: Sequence[Scored], metrics: Sequence[str]) -> Statistic:
    """Return the statistic that is `second` less `first` in each of `metrics`, seeds averaged."""
    one, two = (averaged(seeds, metrics) for seeds in (first, second))

    def statistic(weights: Floats) -> dict[str, Floats]:
        here, there = one(weights), two(weights)
        return {metric: there[metric] - here[metric] for metric in metrics}

    return statistic


def delong(truth: NDArray[np.bool_], first: Floats, second: Floats) -> float:
    """Return the two-sided p-value of equal AUROCs, if cells were independent.

    DeLong, DeLong, Clarke-Pearson 1988, Biometrics 44(3); placements by ranks after Sun and Xu
    2014, IEEE Signal Processing Letters 21(11).

    Args:
        truth: (N,) True for a blast.
        first: (N,) score of one network, larger for a blast.
        second: of the other.
    """
    blasts, normals = int(truth.sum()), int((~truth).sum())
    # Of each blast the share of normal cells below it, of each normal cell the share of blasts
    # above it, ties counted half; a row a network.
    below = np.empty((2, blasts))
    above = np.empty((2, normals))
    for row, score in enumerate((first, second)):
        ranks = stats.rankdata(score)
        below[row] = (ranks[truth] - stats.rankdata(score[truth])) / normals
        above[row] = 1 - (ranks[~truth] - stats.rankdata(score[~truth])) / blasts
    covariance = np.cov(below) / blasts + np.cov(above) / normals
    one, two = below.mean(axis=1)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if variance <= 0:  # the same ranks: no evidence of any difference
        return 1.0
    return float(2 * stats.norm.sf(abs(one - two) / np.sqrt(variance)))


def mcnemar(truth: NDArray[np.bool_], first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the exact two-sided p-value of equal accuracies, if cells were independent.

    McNemar 1947, Psychometrika 12(2), by the binomial distribution: of the cells that one network
    calls rightly and the other wrongly, half should be the one's.

    Args:
        truth: (N,) True for a blast.
        first: (N,) calls of one network.
        second: of the other.
    """
    only_first = int(((first == truth) & (second != truth)).sum())
    only_second = int(((first != truth) & (second == truth)).sum())
    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def _subjects_needed(statistic: Statistic, units: Units, metric: str) -> int | None:
    """Simulate larger studies of such subjects until `POWER` of them find the difference."""
    fewest = min(count for count in (units.count(0), units.count(1)) if count)
    for factor in LARGER:
        parts = [statistic(weights)[metric] for weights in units.draws(SIMULATED, 1, factor)]
        found = np.concatenate(parts)
        found = found[np.isfinite(found)]
        clear = np.abs(found) > reach(max(2, round(factor * fewest))) * found.std()
        if clear.mean() >= POWER:
            return round(factor * len(units.stratum))
    return None
