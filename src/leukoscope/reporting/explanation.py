"""Explanations as files: a picture of each cell, and a table of the training cells most like it."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from leukoscope.files import atomic
from leukoscope.inference.explain import Explanation
from leukoscope.reporting.overlay import overlay
from leukoscope.spreadsheet import write_csv


def write_explanations(explanations: Iterable[Explanation], folder: Path) -> None:
    """Write ``<number>-<name>.png`` for each explanation, and ``nearest.csv`` for all.

    The table has a row a training cell: path (of the explained picture), rank, id, subject, label,
    distance (in standard deviations of the training cells).
    """
    rows = []
    for number, found in enumerate(explanations, start=1):
        maps = {"occlusion": found.occlusion, "Grad-CAM": found.grad_cam}
        with atomic(folder / f"{number}-{Path(found.name).stem}.png") as scratch:
            scratch.write_bytes(overlay(found.pixels, maps, title(found)))
        ranks = range(1, len(found.nearest) + 1)
        rows.append(found.nearest.assign(path=found.call["path"], rank=ranks))
    columns = ["path", "rank", "id", "subject", "label", "distance"]
    write_csv(pd.concat(rows)[columns], folder / "nearest.csv")


def title(found: Explanation) -> str:
    """Say how a cell is called, and what the training cells most like it are."""
    blasts, cells = int((found.nearest["label"] == 1).sum()), len(found.nearest)
    return (
        f"{found.name}: {found.call['call']}, probability of blast "
        f"{found.call['probability']:.2f}; blasts among the {cells} cells most like it: {blasts}"
    )
