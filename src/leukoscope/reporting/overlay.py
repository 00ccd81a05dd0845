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


def tinted(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map, (H, W) in log-odds, as colours to lie over a cell, (H, W, 4) uint8.

    As `overlay` draws it: what speaks most is nearly opaque, what says nothing is not seen.
    """
    reach = float(np.abs(values).max()) or 1.0
    colours = TOWARDS(mpl.colors.Normalize(-reach, reach)(values))
    colours[..., 3] = OPACITY * np.abs(values) / reach
    return np.asarray((255 * colours).round(), np.uint8)


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
        # A file may be called anything: its name is no formula.
        look = {"fontsize": 11, "fontweight": "bold", "parse_math": False}
        figure.suptitle(title, x=0.01, ha="left", **look)
        cell, *panels = figure.subplots(1, 1 + len(maps))
        cell.imshow(pixels)
        cell.set_title("what the networks see")
        grey = pixels.mean(axis=2)
        for panel, (name, values) in zip(panels, maps.items(), strict=True):
            panel.imshow(grey, cmap="gray", vmin=0)
            panel.imshow(tinted(values))
            panel.set_title(f"{name}, up to {np.abs(values).max():.2g}")
        for panel in (cell, *panels):
            panel.set_axis_off()
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(-1, 1), TOWARDS)
        bar = figure.colorbar(scale, ax=panels, shrink=0.7, ticks=[-1, 0, 1])
        bar.ax.set_yticklabels(["normal", "neither", "blast"])
        figure.savefig(file, format="png", dpi=160)
        return file.getvalue()
