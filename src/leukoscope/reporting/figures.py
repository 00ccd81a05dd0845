"""Figures: tables go in, matplotlib figures come out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from leukoscope.cells.manifest import CLASSES, SPLITS
from leukoscope.reporting.style import (
    DASHES,
    INK,
    MODEL_COLOURS,
    MODEL_MARKERS,
    RULE,
    SPLIT_COLOURS,
    SPLIT_NAMES,
    STYLE,
)

DECADES = 10.0 ** np.arange(-4, 2)
NICE = np.outer(DECADES, (1, 2, 5)).ravel()[:-2]
"""Where the logarithmic axis of a loss begins, ends and, if it is short, has its ticks.

It ends at 10 whatever comes: an unsettled network may be as sure as it is wrong, and the thousands
that this costs would leave no room for the other networks.
"""


Histories = Sequence[pd.DataFrame]
"""Of a network's runs: one, or one a fold and seed."""


def accuracy_by_epoch(
    histories: Mapping[str, Histories], kept: Mapping[str, int | None], pictures: Mapping[str, int]
) -> Figure:
    """Draw training and validation accuracy, all networks in one figure, on one scale.

    Args:
        histories: by network, with columns epoch (from 1), train_accuracy, validation_accuracy; of
            several runs the mean is drawn in a band from the lowest to the highest.
        kept: by network, the epoch whose weights are kept; ringed in the validation panel. None
            where runs kept different ones.
        pictures: by split, how many an epoch's accuracy is taken over, where runs agree.
    """
    splits = ("train", "validation")
    columns = [f"{split}_accuracy" for split in splits]
    every = [history for runs in histories.values() for history in runs]
    lowest = min(history[columns].min().min() for history in every)
    with mpl.rc_context(STYLE):
        # Room between the panels for the names at the ends of the left one's lines.
        figure = Figure(figsize=(10.4, 4.2), layout=ConstrainedLayoutEngine(wspace=0.06))
        panels = figure.subplots(1, 2, sharey=True)
        for panel, split, column in zip(panels, splits, columns, strict=True):
            for i, (name, runs) in enumerate(histories.items()):
                mean = mean_of(runs)
                colour = MODEL_COLOURS[i % len(MODEL_COLOURS)]
                panel.plot(
                    mean["epoch"],
                    mean[column],
                    label=name,
                    color=colour,
                    marker=MODEL_MARKERS[i % len(MODEL_MARKERS)],
                    markevery=_sparse(mean),
                    linestyle=DASHES[split],
                    clip_on=False,
                )
                _band(panel, runs, column, colour)
            panel.set_title(SPLIT_NAMES[split].capitalize() + _of(pictures, [split]))
            panel.set_ylim(min(np.floor(lowest * 10) / 10, 0.9), 1)
            _epoch_axis(panel, every)
        panels[0].set_ylabel("Accuracy")
        for i, (name, runs) in enumerate(histories.items()):
            epoch = kept[name]
            if epoch is None:
                continue
            panels[1].plot(
                epoch,
                mean_of(runs).set_index("epoch").loc[epoch, "validation_accuracy"],
                label=f"{name}, kept",
                color=MODEL_COLOURS[i % len(MODEL_COLOURS)],
                marker="o",
                markersize=10,
                markerfacecolor="none",
                clip_on=False,
            )
        for panel in panels:
            label_ends(panel, list(histories))
    return figure


def loss_by_epoch(
    name: str,
    histories: Histories,
    kept: int | None,
    pictures: Mapping[str, int],
    limits: tuple[float, float],
) -> Figure:
    """Draw one network's mean cross-entropy by epoch on every split that was watched.

    Args:
        name: of the network.
        histories: with columns epoch (from 1) and <split>_loss; of several runs the mean is drawn
            in a band from the lowest to the highest.
        kept: the epoch whose weights are kept, None where runs kept different ones.
        pictures: by split, how many an epoch's loss is taken over, where runs agree.
        limits: of the logarithmic axis, from `loss_limits`: the same for networks to be compared.
    """
    mean = mean_of(histories)
    watched = [split for split in SPLITS if f"{split}_loss" in mean]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.8, 3.1), layout="constrained")
        axes = figure.subplots()
        for split in watched:
            axes.plot(
                mean["epoch"],
                mean[f"{split}_loss"],
                label=SPLIT_NAMES[split],
                color=SPLIT_COLOURS[split],
                linestyle=DASHES[split],
                marker="o" if len(mean) == 1 else None,
            )
            _band(axes, histories, f"{split}_loss", SPLIT_COLOURS[split])
        loss_axis(axes, limits)
        axes.set_ylabel("Loss (cross-entropy, nats)")
        axes.set_title(name + _of(pictures, watched))
        _epoch_axis(axes, histories)
        label_ends(axes, [SPLIT_NAMES[split] for split in watched])
        if kept is not None:
            axes.axvline(kept, color=RULE, linewidth=5, zorder=0, label="epoch kept")
    return figure


def loss_axis(axes: Axes, limits: tuple[float, float]) -> None:
    """Make the vertical axis logarithmic within `limits`, from `loss_limits`."""
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    ticks = NICE if limits[1] / limits[0] <= 1000 else DECADES
    axes.yaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")


def loss_limits(histories: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Return bounds from `NICE`, which hold the losses of `histories` where they lie within it."""
    losses = np.concatenate(
        [history.filter(like="_loss").to_numpy().ravel() for history in histories]
    )
    losses = losses[np.isfinite(losses)]
    below, above = NICE[losses.min() >= NICE], NICE[losses.max() <= NICE]
    return float(below.max(initial=NICE[0])), float(above.min(initial=NICE[-1]))


def confusion(name: str, confusions: Sequence[Sequence[Sequence[int]]], on: str) -> Figure:
    """Draw a confusion matrix: rows are true classes, columns predicted ones.

    Each cell shows its count and its share of the row, which is also its shade.

    Args:
        name: of the network.
        confusions: of its runs, [true class][called class] each; they are summed.
        on: which cells were called.
    """
    counts = np.sum(confusions, axis=0)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    classes = list(CLASSES.values())
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(3.4, 3.1), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            # A class without cells has no shares.
            share = f"{shares[row, column]:.1%}" if totals[row] else "–"
            colour = "white" if shares[row, column] > 0.5 else INK
            at: dict[str, Any] = {"ha": "center", "color": colour}
            axes.text(column, row, share, va="bottom", fontsize=13, fontweight="bold", **at)
            axes.text(column, row + 0.06, f"{counts[row, column]:,}", va="top", **at)
        axes.set_xticks(range(len(classes)), classes)
        named = [f"{name}\nn = {n:,}" for name, n in zip(classes, totals, strict=True)]
        axes.set_yticks(range(len(classes)), named)
        axes.set_xlabel("Predicted class (columns)")
        axes.set_ylabel("True class (rows)")
        axes.set_title(f"{name} on {on} (n = {counts.sum():,})")
        axes.tick_params(length=0, colors=INK)
        axes.spines[:].set_visible(False)
        axes.axhline(0.5, color="white", linewidth=2)
        axes.axvline(0.5, color="white", linewidth=2)
    return figure


def mean_of(histories: Histories) -> pd.DataFrame:
    """Return the mean of `histories` by epoch."""
    return pd.concat(histories).groupby("epoch", as_index=False).mean()


def _band(axes: Axes, histories: Histories, column: str, colour: str) -> None:
    """Shade what lies between the lowest and the highest of several runs."""
    if len(histories) > 1:
        by_epoch = pd.concat(histories).groupby("epoch")[column]
        low, high = by_epoch.min(), by_epoch.max()
        axes.fill_between(low.index, low, high, color=colour, alpha=0.15, linewidth=0)


def _of(pictures: Mapping[str, int], splits: Sequence[str]) -> str:
    """Say how many pictures were judged, where that is known."""
    if not all(split in pictures for split in splits):
        return ""
    return f" ({' / '.join(f'{pictures[split]:,}' for split in splits)} pictures)"


def _sparse(history: pd.DataFrame) -> int:
    return max(1, len(history) // 10)


def _epoch_axis(axes: Axes, histories: Iterable[pd.DataFrame]) -> None:
    last = max(history["epoch"].max() for history in histories)
    margin = max(0.02 * (last - 1), 0.1)
    axes.set_xlim(1 - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("Epoch")


def label_ends(axes: Axes, names: list[str]) -> None:
    """Write each of the lines called `names` beside its last point, moved apart where they meet."""
    lines = {str(line.get_label()): line for line in axes.lines}
    ends = np.array([np.asarray(lines[name].get_xydata(), dtype=float)[-1] for name in names])
    ends[:, 1] = ends[:, 1].clip(*axes.get_ylim())
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = to_axes.transform(ends)[:, 1]
    gap = 15 / axes.bbox.height  # a line of text, in pixels
    order = np.argsort(heights)
    levels = np.arange(len(names)) * gap
    # Sorted heights that rise by at least `gap`; those pushed past the top come down together.
    placed = np.maximum.accumulate(heights[order] - levels) + levels
    placed = np.minimum(placed, 1 - gap * np.arange(len(names))[::-1])
    for i, height in zip(order, placed, strict=True):
        axes.annotate(
            names[i],
            xy=ends[i],
            xytext=(1.04, height),
            textcoords="axes fraction",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0, 0.5),
                "color": lines[names[i]].get_color(),
                "linewidth": 0.8,
            },
        )


def legend(figure: Figure, axes: Axes) -> None:
    """Name the lines of `axes` once for all panels."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False)
