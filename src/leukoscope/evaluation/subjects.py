"""Subject by subject: how each one's cells were called, and what share of them are blasts."""

import numpy as np
import pandas as pd
from scipy import stats

from leukoscope.evaluation.point import OperatingPoint

LEVEL = 0.95


def by_subject(predictions: pd.DataFrame, point: OperatingPoint) -> pd.DataFrame:
    """Return one row a subject and class, the one with the smallest share of right calls first.

    Columns: subject, label, cells, correct, accuracy, with the Wilson interval low to high of a new
    cell of the same subject; probability (the mean, of blast); called_blast; blast_share, with
    blast_share_low and blast_share_high, the subject's call: see `blast_share`.

    Args:
        predictions: labelled, with columns subject, label (0, 1), calibrated.
        point: from which probability a cell is called a blast, and how often that was right on
            validation.
    """
    called = (predictions["calibrated"] >= point.threshold).astype(int)
    cells = predictions.assign(called=called, right=called.eq(predictions["label"]).astype(int))
    table = cells.groupby(["subject", "label"], as_index=False).agg(
        cells=("right", "size"),
        correct=("right", "sum"),
        accuracy=("right", "mean"),
        probability=("calibrated", "mean"),
        called_blast=("called", "sum"),
    )
    counts = table[["cells", "correct", "called_blast"]].to_numpy()
    intervals = [wilson(correct, number) for number, correct, _ in counts]
    table[["low", "high"]] = pd.DataFrame(intervals, index=table.index)
    shares = [blast_share(blasts, number, point) for number, _, blasts in counts]
    names = ["blast_share", "blast_share_low", "blast_share_high"]
    table[names] = pd.DataFrame(shares, index=table.index)
    return worst_first(table)


def worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Return a `table` of subjects so that the least rightly called come first."""
    order = ["accuracy", "cells", "subject"]
    return table.sort_values(order, ascending=[True, False, True], ignore_index=True)


def wilson(hits: int, cells: int, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927), which holds for few cells, too."""
    found = stats.binomtest(hits, cells).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def blast_share(
    called_blast: int, cells: int, point: OperatingPoint, level: float = LEVEL
) -> tuple[float, float, float]:
    """Return the share of blasts among a subject's cells, corrected for wrong calls, low and high.

    With sensitivity s and specificity c the share called blast is q = p s + (1 - p)(1 - c), so
    p = (q + c - 1) / (s + c - 1): Rogan and Gladen 1978, American Journal of Epidemiology 107(1).
    The interval is by their variance (delta method) around the share with z² more cells, half of
    them called blast, without which few cells all called alike would seem certain (Lang and
    Reiczigel 2014, Preventive Veterinary Medicine 113(1)). All are cut to [0, 1]. NaN where calls
    are no better than chance; low and high also where s or c is known of a single other subject.

    Args:
        called_blast: cells of the subject that are called blast.
        cells: of the subject.
        point: gives s and c, and how far this subject's may lie from them, from other subjects.
        level: of the interval.
    """
    gain = point.sensitivity + point.specificity - 1
    if gain <= 0:
        return np.nan, np.nan, np.nan
    share = (called_blast / cells + point.specificity - 1) / gain
    share = float(np.clip(share, 0, 1))
    if point.sensitivity_error is None or point.specificity_error is None:
        return share, np.nan, np.nan
    z = float(stats.norm.ppf((1 + level) / 2))
    more = cells + z**2
    called = (called_blast + z**2 / 2) / more
    middle = (called + point.specificity - 1) / gain
    variance = called * (1 - called) / more
    variance += (middle * point.sensitivity_error) ** 2
    variance += ((1 - middle) * point.specificity_error) ** 2
    reach = z * np.sqrt(variance) / gain
    low, high = np.clip([middle - reach, middle + reach], 0, 1).tolist()
    return share, low, high
