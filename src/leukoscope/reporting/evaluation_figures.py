"""Curves of one evaluation: labelled predictions go in, matplotlib figures come out.

Bands are those of `leukoscope.evaluation.curves`: 95 % over people, place by place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from leukoscope.evaluation import curves
from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.calibration import reliability
from leukoscope.evaluation.metrics import ECE_BINS, Scored
from leukoscope.evaluation.result import Calls, Evaluation
from leukoscope.reporting.style import INK, MODEL_COLOURS, MUTED, STYLE
from leukoscope.reporting.words import BRIEFLY, counted, estimated, number, softened

NETWORK = MODEL_COLOURS[0]
POINT_MARKS = (
    ("o", INK),
    ("D", "#D55E00"),
    ("^", "#009E73"),
    ("v", "#AA4499"),
    ("s", "#E69F00"),
)
"""Marker and colour of each operating point."""

WIDTH = 3.6
"""In inches: three panels stand side by side in the report."""

BAND: dict[str, Any] = {"color": NETWORK, "alpha": 0.18, "linewidth": 0}
LEGEND: dict[str, Any] = {"loc": "outside lower left", "frameon": False, "fontsize": 8}


@dataclass(frozen=True)
class Judged:
    """What the figures are drawn from.

    Attributes:
        name: of the network.
        evaluation: with labels.
        predictions: the labelled ones: subject, person, label, probability, calibrated.
    """

    name: str
    evaluation: Evaluation
    predictions: pd.DataFrame

    def scored(self, column: str = "calibrated") -> Scored:
        """Return the cells with the probabilities in `column`."""
        truth = self.predictions["label"].eq(1).to_numpy(dtype=bool)
        return Scored(truth, self.predictions[column].to_numpy(dtype=float))

    @property
    def units(self) -> Units:
        """The people whose cells they are."""
        return Units.of(self.predictions["person"], self.scored().truth)


def roc(judged: Judged) -> Figure:
    """Draw the ROC curve, its band and the operating points; both classes are needed."""
    evaluation = judged.evaluation
    curve = curves.roc(judged.scored())
    band = curves.roc_band(judged.scored(), judged.units)
    area = {one.name: number(one.auroc.value) for one in evaluation.baselines}
    areas = [f"{brief} {area[name]}" for name, brief in BRIEFLY.items()]
    with mpl.rc_context(STYLE):
        said = f"AUROC {estimated(evaluation.scores['auroc'])}"
        figure, axes = _panel(judged, said, f"by {', '.join(areas)}")
        _shade(axes, band)
        axes.plot(curve["fallout"], curve["sensitivity"], color=NETWORK, label="network")
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", label="chance")
        _mark_points(axes, evaluation, lambda at: (1 - at["specificity"], at["sensitivity"]))
        axes.set_xlabel("1 - specificity: normal cells called blast")
        axes.set_ylabel("Sensitivity: blasts called blast")
        _finish(figure, axes)
    return figure


def precision_recall(judged: Judged) -> Figure:
    """Draw precision over sensitivity, its band, the operating points and the share of blasts."""
    evaluation = judged.evaluation
    curve = curves.precision_recall(judged.scored())
    band = curves.precision_recall_band(judged.scored(), judged.units)
    share = judged.scored().truth.mean()
    with mpl.rc_context(STYLE):
        said = f"average precision {estimated(evaluation.scores['average_precision'])}"
        figure, axes = _panel(judged, said, f"share of blasts, without any skill: {share:.3f}")
        _shade(axes, band)
        # Between two thresholds the next one's precision holds.
        axes.plot(
            curve["sensitivity"],
            curve["precision"],
            color=NETWORK,
            drawstyle="steps-pre",
            label="network",
        )
        axes.axhline(share, color=MUTED, linestyle=":", label="share of blasts")
        _mark_points(axes, evaluation, lambda at: (at["sensitivity"], at["ppv"]))
        axes.set_xlabel("Sensitivity (recall): blasts called blast")
        axes.set_ylabel("Precision: blasts among calls of blast")
        _finish(figure, axes)
    return figure


def calibration(judged: Judged) -> Figure:
    """Draw the reliability diagram before and after calibration, over the cells of each bin."""
    scores = judged.evaluation.scores
    before, after = (reliability(one.probability, one.truth) for one in _before_and_after(judged))
    with mpl.rc_context(STYLE):
        figure, axes = _panel(
            judged,
            f"ECE {estimated(scores['ece'])}",
            f"uncalibrated {estimated(scores['ece_uncalibrated'])}",
            rows=[3.2, 1],
        )
        histogram = figure.axes[1]
        looks: list[dict[str, Any]] = [
            {"color": MUTED, "linestyle": "--", "marker": "o", "markerfacecolor": "white"},
            {"color": NETWORK, "marker": "o"},
        ]
        names = ("uncalibrated", f"after {softened(judged.evaluation)}")
        for table, look, name in zip((before, after), looks, names, strict=True):
            axes.plot(table["probability"], table["share"], label=name, clip_on=False, **look)
            cells = table.set_index("bin")["cells"].reindex(range(ECE_BINS), fill_value=0)
            edges = np.linspace(0, 1, ECE_BINS + 1)
            style = {key: look[key] for key in ("color", "linestyle") if key in look}
            histogram.stairs(cells, edges, baseline=0, linewidth=1.4, **style)
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="as promised")
        axes.set_ylabel("Share of blasts in the bin")
        histogram.set_ylabel("Cells")
        histogram.set_ylim(0)
        histogram.set_xlabel("Probability of blast, 15 bins of equal width")
        _finish(figure, axes)
    return figure


def decision(judged: Judged, table: pd.DataFrame) -> Figure:
    """Draw a decision curve, as from `curves.decision_curve`, against calling all and none."""
    with mpl.rc_context(STYLE):
        figure, axes = _panel(judged, "net benefit after Vickers and Elkin", gain_in_words(table))
        _shade(axes, table)
        axes.plot(table["threshold"], table["net_benefit"], color=NETWORK, label="by the network")
        axes.plot(
            table["threshold"], table["call_all"], color="#D55E00", linestyle="--", label="call all"
        )
        axes.axhline(0, color=INK, linestyle=":", label="call none")
        axes.set_xlabel("Threshold probability of blast")
        axes.set_ylabel("Net benefit, true calls a cell")
        _finish(figure, axes)
        share = judged.scored().truth.mean()
        axes.set_ylim(-0.3 * share - 0.02, 1.08 * share + 0.02)
    return figure


def gain_in_words(table: pd.DataFrame) -> str:
    """Say at which thresholds a decision curve lies above both simple ones, interval and all."""
    if table["gain_low"].isna().all():
        return "too few subjects for a band"
    better = table.loc[table["gain_low"] > 0, "threshold"]
    if better.empty:
        return "nowhere clearly better than calling all or none"
    return (
        f"clearly better than both at {len(better)} of 99: {better.min():.2f} to {better.max():.2f}"
    )


def _before_and_after(judged: Judged) -> tuple[Scored, Scored]:
    return judged.scored("probability"), judged.scored()


def _panel(judged: Judged, *said: str, rows: list[float] | None = None) -> tuple[Figure, Axes]:
    """Return a panel of the report with a title, what is `said` under it, and its upper axes."""
    evaluation = judged.evaluation
    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    panels = figure.subplots(len(rows or [1]), 1, sharex=True, squeeze=False, height_ratios=rows)
    axes: Axes = panels[0, 0]
    title = f"{judged.name} on {evaluation.name} ({counted(evaluation.cells, 'cell')})"
    figure.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    axes.set_title("\n".join(said), x=-0.13, fontsize=8, fontweight="normal", color=MUTED)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return figure, axes


def _shade(axes: Axes, table: pd.DataFrame) -> None:
    """Draw a curve's band, over its first column; with a single subject there is none."""
    if table["low"].notna().any():
        axes.fill_between(table.iloc[:, 0], table["low"], table["high"], **BAND)


def _mark_points(
    axes: Axes, evaluation: Evaluation, place: Callable[[dict[str, float]], tuple[float, float]]
) -> None:
    for calls, (marker, colour) in zip(evaluation.calls, POINT_MARKS, strict=False):
        x, y = place(_values(calls))
        axes.plot(
            x,
            y,
            label=_called(calls),
            color=colour,
            marker=marker,
            markersize=6,
            markeredgecolor="white",
            linestyle="none",
            clip_on=False,
            zorder=3,
        )


def _values(calls: Calls) -> dict[str, float]:
    """Return the metrics of `calls`; where one is undefined its point is not drawn."""
    return {
        name: np.nan if metric.value is None else metric.value
        for name, metric in calls.metrics.items()
    }


def _called(calls: Calls) -> str:
    name, threshold = calls.point.name, f"{calls.point.threshold:.2f}"
    return f"from {name}" if name == "0.5" else f"{name}, from {threshold}"


def _finish(figure: Figure, axes: Axes) -> None:
    """Put the names of lines, band and points below."""
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    lines: list[Artist] = [line for line in axes.lines if line not in points]
    if axes.collections:
        lines.append(Patch(label="95 % over subjects", **BAND))
    blank = [Patch(alpha=0, label=" ")] * (len(points) - len(lines))  # points in their own column
    figure.legend(handles=[*lines, *blank, *points], ncols=2 if points else 1, **LEGEND)
