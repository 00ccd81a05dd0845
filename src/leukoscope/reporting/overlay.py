"""Saliency over a cell, as a picture."""

from collections.abc import Mapping
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from leukoscope.reporting.style import MODEL_COLOURS, STYLE

NORMAL, BLAST = MODEL_COLOURS[:2]
TOWARDS = LinearSegmentedColormap.from_list("towards", [NORMAL, "#ffffff", BLAST])
OPACITY = 0.85
"""Of what speaks most; what says nothing is not seen, and the cell is."""


def overlay(
    pixels: NDArray[np.uint8], maps: Mapping[str, NDArray[np.float32]], title: str
) -> bytes:
    """Return a PNG of a cell and of each of `maps` over the cell in grey.

    Args:
        pixels: (H, W, 3) uint8.
        maps: by name, (H, W) in log-odds: above 0 speaks for a blast, below 0 for a normal cell.
        title: what is said of the cell.
    """
    with mpl.rc_context({**STYLE, "axes.grid": False}), BytesIO() as file:
        figure = Figure(figsize=(3.1 * (1 + len(maps)), 3.5), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        cell, *panels = figure.subplots(1, 1 + len(maps))
        cell.imshow(pixels)
        cell.set_title("what the networks see")
        grey = pixels.mean(axis=2)
        for panel, (name, values) in zip(panels, maps.items(), strict=True):
            reach = float(np.abs(values).max()) or 1.0
            panel.imshow(grey, cmap="gray", vmin=0)
            alpha = OPACITY * np.abs(values) / reach
            panel.imshow(values, cmap=TOWARDS, vmin=-reach, vmax=reach, alpha=alpha)
            panel.set_title(f"{name}, up to {reach:.2g}")
        for panel in (cell, *panels):
            panel.set_axis_off()
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(-1, 1), TOWARDS)
        bar = figure.colorbar(scale, ax=panels, shrink=0.7, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["normal", "neither", "blast"])
        figure.savefig(file, format="png", dpi=160)
        return file.getvalue()
