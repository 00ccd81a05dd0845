"""Figures of studies that look at trainings: by epoch, by layer, along lines through the weights.

A finding goes in, a matplotlib figure comes out.
"""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leukoscope.reporting.figures import legend, loss_axis, loss_limits
from leukoscope.reporting.style import (
    DASHES,
    INK,
    MODEL_COLOURS,
    MODEL_MARKERS,
    MUTED,
    RULE,
    SPLIT_COLOURS,
    SPLIT_NAMES,
    STYLE,
)
from leukoscope.studies.finding import Finding
from leukoscope.studies.sharpness import EPSILONS
from leukoscope.studies.validation_gap import NEAR

WATCHED = ("train", "validation")

VANISHED = 1e-10
"""A gradient smaller than this leaves the figure."""

KINDS: dict[bool, dict[str, str]] = {
    True: {"label": "with shortcuts", "color": MODEL_COLOURS[0], "linestyle": "-"},
    False: {"label": "without shortcuts", "color": MODEL_COLOURS[1], "linestyle": "--"},
}
"""Residual and plain networks."""


def batch_size(finding: Finding) -> Figure:
    """Draw accuracy by epoch, a panel a batch size, and what was measured of each."""
    means = finding.table.groupby("batch_size").mean()

    boxes = " / ".join(f"{epsilon:g}" for epsilon in EPSILONS)

    def told(size: float) -> str:
        mean = means.loc[size]
        sharp = " / ".join(f"{mean[f'sharpness_{epsilon:g}']:.0f}" for epsilon in EPSILONS)
        return (
            f"fluctuation {mean['fluctuation']:.4f}\nsharpness {sharp} % (ε = {boxes})\n"
            f"test accuracy {mean['test_accuracy']:.3f}"
        )

    return _accuracy_panels(finding, "batch_size", "Batch size {:g}".format, told)


def learning_rate(finding: Finding) -> Figure:
    """Draw accuracy by epoch, a panel a rate, and how much validation accuracy fluctuates."""
    by_factor = finding.table.groupby("factor")

    def title(factor: float) -> str:
        return f"Learning rate {by_factor.get_group(factor)['learning_rate'].iloc[0]:g}"

    def told(factor: float) -> str:
        runs = by_factor.get_group(factor)
        lost = int(runs["diverged"].sum())
        said = f"fluctuation {runs['fluctuation'].mean():.4f}" if lost < len(runs) else "diverged"
        return said + (f"\n{lost} of {len(runs)} diverged" if 0 < lost < len(runs) else "")

    return _accuracy_panels(finding, "factor", title, told)


def depth(finding: Finding) -> Figure:
    """Draw test loss and training accuracy by epoch, with shortcuts and without."""
    curves = finding.curves
    models = list(dict.fromkeys(curves["model"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 5.6), layout="constrained")
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        for column, (residual, kind) in enumerate(KINDS.items()):
            for row, name in enumerate(("test_loss", "train_accuracy")):
                for i, model in enumerate(models):
                    part = curves[curves["model"].eq(model) & curves["residual"].eq(residual)]
                    look = {"color": MODEL_COLOURS[i], "marker": MODEL_MARKERS[i]}
                    _by_seed(panels[row, column], part, "epoch", name, label=model, **look)
            panels[0, column].set_title(f"{kind['label']}".capitalize())
            _epoch_axis(panels[1, column])
        loss_axis(panels[0, 0], loss_limits([curves[["test_loss"]]]))
        panels[0, 0].set_ylabel("Test loss (cross-entropy, nats)")
        panels[1, 0].set_ylabel("Training accuracy")
        legend(figure, panels[0, 0])
    return figure


def gradient_flow(finding: Finding) -> Figure:
    """Draw the gradient's norm at each layer: a column a network, a row a moment."""
    norms = finding.curves
    models = list(dict.fromkeys(norms["model"]))
    last = norms["epoch"].max()
    moments = {0: "before the first step", last: f"after epoch {last}"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1 + 2.3 * len(models), 5.2), layout="constrained")
        panels = figure.subplots(2, len(models), sharey="row", sharex="col", squeeze=False)
        for row, (epoch, when) in enumerate(moments.items()):
            for column, model in enumerate(models):
                axes = panels[row, column]
                now = norms[norms["model"].eq(model) & norms["epoch"].eq(epoch)]
                for residual, look in KINDS.items():
                    _by_seed(axes, now[now["residual"] == residual], "layer", "norm", **look)
                axes.set_yscale("log")
                axes.axhline(1, color=MUTED, linewidth=0.8, zorder=0)
                axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
                axes.set_title(model if row == 0 else "")
            panels[row, 0].set_ylabel(f"Norm of the gradient,\n{when}")
            bottom, top = panels[row, 0].get_ylim()
            panels[row, 0].set_ylim(max(bottom, VANISHED), max(top, 10))
        for axes in panels[1]:
            axes.set_xlabel("Layer (1: at the input)")
        legend(figure, panels[0, 0])
    return figure


def validation_gap(finding: Finding) -> Figure:
    """Draw both losses along each kind of line, and how far apart their minima lie."""
    curves, table = finding.curves, finding.table
    kinds = {"Random directions": curves[curves["line"].str.startswith("random")]}
    for line in [name for name in dict.fromkeys(curves["line"]) if name.endswith("to last")]:
        kinds[line.capitalize()] = curves[curves["line"] == line]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 + 2.6 * len(kinds), 3.6), layout="constrained")
        *panels, apart = figure.subplots(1, len(kinds) + 1, width_ratios=[2.6] * len(kinds) + [2.4])
        for axes, (title, part) in zip(panels, kinds.items(), strict=True):
            for number, (_, line) in enumerate(part.groupby(["line", "seed"])):
                for split in WATCHED:
                    _loss_on_line(axes, line, split, labelled=number == 0)
            axes.axvline(0, color=RULE, linewidth=5, zorder=0)
            axes.set_title(title)
            axes.set_xlabel("Step from the last weights")
        panels[0].set_ylabel("Loss (cross-entropy, nats)")
        _forest(apart, table)
        legend(figure, panels[0])
    return figure


def _accuracy_panels(
    finding: Finding, by: str, title: Callable[[float], str], told: Callable[[float], str]
) -> Figure:
    """Draw training and validation accuracy, one panel for each value of `by`, on one scale."""
    curves, values = finding.curves, sorted(finding.table[by].unique())
    lines = max(told(value).count("\n") for value in values) + 1
    with mpl.rc_context(STYLE):
        width = 0.8 + max(2.3, 6 / len(values)) * len(values)
        figure = Figure(figsize=(width, 3.6), layout="constrained")
        panels = figure.subplots(1, len(values), sharey=True, squeeze=False)[0]
        for axes, value in zip(panels, values, strict=True):
            part = curves[curves[by] == value]
            for split in WATCHED:
                look = {"color": SPLIT_COLOURS[split], "linestyle": DASHES[split]}
                label = SPLIT_NAMES[split]
                _by_seed(axes, part, "epoch", f"{split}_accuracy", label=label, **look)
            axes.set_title(title(value), pad=6 + 11 * lines)
            axes.text(0, 1.02, told(value), transform=axes.transAxes, color=MUTED, va="bottom")
            _epoch_axis(axes)
        panels[0].set_ylabel("Accuracy")
        legend(figure, panels[0])
    return figure


def _by_seed(axes: Axes, table: pd.DataFrame, x: str, y: str, label: str, **look: Any) -> None:
    """Draw a line a seed, all alike; one of them bears the label."""
    for number, (_, run) in enumerate(table.groupby("seed")):
        axes.plot(
            run[x],
            run[y],
            label=label if number == 0 else None,
            markevery=max(1, len(run) // 10),
            **look,
        )


def _loss_on_line(axes: Axes, line: pd.DataFrame, split: str, labelled: bool) -> None:
    """Draw one loss along one line, its least point marked."""
    axes.plot(
        line["step"],
        line[split],
        label=SPLIT_NAMES[split] if labelled else None,
        linestyle=DASHES[split],
        color=SPLIT_COLOURS[split],
        marker="v" if split == "train" else "o",
        markevery=[int(line[split].argmin())],
    )


def _forest(axes: Axes, table: pd.DataFrame) -> None:
    """Draw validation's minimum from training's on each line, with its interval."""
    names = table["line"]
    if table["seed"].nunique() > 1:
        names = names + ", seed " + table["seed"].astype(str)
    places = np.arange(len(table))[::-1]
    axes.axvspan(-NEAR, NEAR, color=RULE, zorder=0)
    axes.hlines(places, table["low"], table["high"], color=INK)
    for place, size, inside in zip(places, table["displacement"], table["inside"], strict=True):
        axes.plot(size, place, marker="o", color=INK, markerfacecolor=INK if inside else "white")
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    axes.set_title("How far apart the minima lie")
    axes.set_xlabel("Validation's beyond training's\n(95 % interval; grey: as good as one)")


def _epoch_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch")
