"""How figures look, and how they become files.

Everything is said twice, by colour and by line style, marker or label, so that neither a grey print
nor a colour-blind reader loses anything.
"""

from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, MUTED, RULE = "#1c2024", "#5c6570", "#dde1e6"

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",  # text stays text: it can be searched, and edited for a paper
    "svg.hashsalt": "leukoscope",  # the same figure is the same bytes
}

# Okabe and Ito's colours; the yellow is left out, it vanishes on white.
MODEL_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9")
MODEL_MARKERS = ("o", "s", "^", "D", "v")

DASHES = {"train": "--", "validation": "-", "test": ":"}
SPLIT_COLOURS = {"train": MUTED, "validation": INK, "test": "#AA4499"}
SPLIT_NAMES = {"train": "training", "validation": "validation", "test": "test"}


def svg(figure: Figure) -> bytes:
    """Return `figure` as an SVG file; the same figure gives the same bytes."""
    with mpl.rc_context(STYLE), BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()
