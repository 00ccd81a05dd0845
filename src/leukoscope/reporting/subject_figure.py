"""Accuracy subject by subject: one row each, the worst first."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from leukoscope.cells.manifest import CLASSES
from leukoscope.reporting.style import MODEL_COLOURS, MODEL_MARKERS, MUTED, RULE, STYLE
from leukoscope.reporting.words import counted

ROW = 0.19
"""Height of a subject's row, in inches."""


def accuracy_by_subject(title: str, subjects: pd.DataFrame) -> Figure:
    """Draw each subject's share of right calls with its Wilson interval, a panel for each class.

    Args:
        title: whose subjects they are.
        subjects: as from `leukoscope.evaluation.subjects.by_subject`, the worst first.
    """
    parts = [(label, subjects[subjects["label"] == label]) for label in CLASSES]
    parts = [(label, part) for label, part in parts if len(part)]
    rows = max(len(part) for _, part in parts)
    with mpl.rc_context({**STYLE, "axes.grid.axis": "x"}):
        figure = Figure(figsize=(10.4, 1.1 + ROW * max(rows, 4)), layout="constrained")
        panels = figure.subplots(1, len(parts), squeeze=False)[0]
        for axes, (label, part) in zip(panels, parts, strict=True):
            _draw(axes, label, part, rows)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def _draw(axes: Axes, label: int, part: pd.DataFrame, rows: int) -> None:
    colour, places = MODEL_COLOURS[label], range(len(part))
    axes.hlines(places, 0, 1, color=RULE, linewidth=0.5, zorder=0)
    axes.hlines(places, part["low"], part["high"], color=colour)
    axes.plot(
        part["accuracy"],
        places,
        color=colour,
        marker=MODEL_MARKERS[label],
        linestyle="none",
        clip_on=False,
    )
    mean, worst = part["accuracy"].mean(), part["accuracy"].min()
    axes.axvline(mean, color=MUTED, linestyle="--", linewidth=1, zorder=0)
    axes.set_title(
        f"{CLASSES[label].capitalize()}, {counted(len(part), 'subject')}: "
        f"mean {mean:.3f} (dashed), worst {worst:.3f}",
        fontsize=9,
        fontweight="normal",
    )
    names = [
        f"{subject} ({counted(cells, 'cell')})"
        for subject, cells in part[["subject", "cells"]].itertuples(index=False)
    ]
    # A subject's name is shown as it stands: a dollar in it is no formula.
    axes.set_yticks(places, names, parse_math=False)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("Cells called rightly, 95 % Wilson interval")
