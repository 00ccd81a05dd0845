"""Pictures that are no single cell of the known magnification are flagged, cells of new people not.

    python benchmarks/check_flags.py FOLDER

FOLDER is a run, or holds those of several folds. Each is exported, and its bundle calls cells of
its test people, and pictures that are no such cells, made from them and from the photographs that
scikit-learn and matplotlib bring. Printed is, for each kind of picture, the share that is flagged
for more than its stain, mean over the runs, lowest and highest, and the mean share of unfamiliar
stains.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.cbook import get_sample_data
from PIL import Image
from sklearn.datasets import load_sample_images

from common import asked_runs
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.preprocess import BACKGROUND
from leukoscope.inference.export import export
from leukoscope.inference.flags import STAIN
from leukoscope.inference.model import SEPARATOR, Model, Picture
from leukoscope.training.run import Run

CELLS, PICTURES = 700, 100
"""Of the test people, and of each other kind, in each run."""

SIDE = 450
"""Of a picture in pixels, as C-NMC's."""

MOST, LEAST = 0.02, 0.99
"""Share of the new people's cells, and of each other kind, to be flagged."""

NEW = "cells of new people"
BETWEEN = "1.5 times as large"
"""Of this kind cells may be of ordinary size, so that no share is asked for."""


class Maker:
    """Makes pictures that are no single cell, of `cells` and of photographs.

    Args:
        cells: paths.
        seed: of everything drawn.
    """

    def __init__(self, cells: Sequence[str], seed: int = 0) -> None:
        self.cells, self.random = cells, np.random.default_rng(seed)
        samples = [Image.fromarray(image) for image in load_sample_images().images]
        self.photographs = [*samples, Image.open(get_sample_data("grace_hopper.jpg"))]

    def kinds(self) -> dict[str, Callable[[], Image.Image]]:
        """Return what makes one picture of each kind."""
        return {
            "whole smears": self.smear,
            "one colour": self.blank,
            "photographs": self.photograph,
            "photographs cut to a disc": self.disc,
            "several cells": self.several,
            "twice as large": lambda: zoomed(self.cell(), 2),
            "half as large": lambda: zoomed(self.cell(), 0.5),
            BETWEEN: lambda: zoomed(self.cell(), 1.5),
        }

    def cell(self) -> Image.Image:
        return read_picture(Path(self.random.choice(self.cells)))

    def smear(self) -> Image.Image:
        """Cells, some beyond the border, on a bright ground."""
        ground = self.random.normal((225, 205, 215), 4, (SIDE, SIDE, 3))
        picture = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
        for _ in range(6):
            cell = self.cell()
            lit = cell.convert("L").point(lambda grey: 255 * (grey > BACKGROUND))
            left, upper = self.random.integers(-200, 201, 2).tolist()
            picture.paste(cell, (left, upper), lit)
        return picture

    def blank(self) -> Image.Image:
        """Black, white or any other colour, with little noise."""
        black, white, other = np.zeros(3), np.full(3, 255), self.random.integers(0, 256, 3)
        colour = self.random.choice([black, white, other])
        noisy = colour + self.random.integers(-2, 3, (SIDE, SIDE, 3))
        return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))

    def photograph(self) -> Image.Image:
        """A square of a photograph."""
        whole = self.photographs[self.random.integers(len(self.photographs))]
        side = int(self.random.integers(SIDE // 3, min(whole.size)))
        left, upper = (int(self.random.integers(length - side + 1)) for length in whole.size)
        return whole.resize((SIDE, SIDE), box=(left, upper, left + side, upper + side))

    def disc(self) -> Image.Image:
        """A disc of a photograph, as large as a cell, on black."""
        pixels = np.array(self.photograph())
        y, x = np.ogrid[:SIDE, :SIDE]
        beyond = np.hypot(x - SIDE / 2, y - SIDE / 2) > self.random.integers(85, 120)
        pixels[beyond] = 0
        return Image.fromarray(pixels)

    def several(self) -> Image.Image:
        """Two to four cells side by side."""
        cells = [self.cell() for _ in range(self.random.integers(2, 5))]
        width, height = np.max([cell.size for cell in cells], axis=0).tolist()
        picture = Image.new("RGB", (2 * width, height * ((len(cells) + 1) // 2)))
        for number, cell in enumerate(cells):
            picture.paste(cell, (width * (number % 2), height * (number // 2)))
        return picture


def zoomed(picture: Image.Image, factor: float) -> Image.Image:
    """Magnify a picture about its centre, its frame as it was."""
    width, height = (round(factor * length) for length in picture.size)
    frame = Image.new("RGB", picture.size)
    place = ((frame.width - width) // 2, (frame.height - height) // 2)
    frame.paste(picture.resize((width, height), Image.Resampling.BILINEAR), place)
    return frame


def shares(model: Model, pictures: Sequence[Picture]) -> tuple[float, float]:
    """Return the share of `pictures` that is flagged for more than its stain, and for its stain."""
    raised = [set(flags.split(SEPARATOR)) for flags in model.predict(pictures)["flags"].fillna("")]
    return (
        float(np.mean([bool(flags - {STAIN, ""}) for flags in raised])),
        float(np.mean([STAIN in flags for flags in raised])),
    )


def measured(run: Run) -> list[tuple[str, float, float]]:
    """Return the kinds of pictures, and both shares of each, by the bundle of `run`."""
    with tempfile.TemporaryDirectory() as folder:
        model = Model(export(run, Path(folder) / "bundle"), "fp32")
        store = run.open_store()
        paths = store.cells["path"].iloc[store.rows("test")]
        some = paths.sample(min(CELLS, len(paths)), random_state=0)
        rows = [(NEW, *shares(model, some.tolist()))]
        for kind, make in Maker(paths.tolist()).kinds().items():
            rows.append((kind, *shares(model, [make() for _ in range(PICTURES)])))
        return rows


def main() -> int:
    """Print a row for each kind of picture; 1 if too few, or too many cells, are flagged."""
    rows = [row for run in asked_runs(__doc__) for row in measured(run)]
    table = pd.DataFrame(rows, columns=["kind", "flagged", "stain"]).groupby("kind", sort=False)
    print("| pictures | flagged | lowest to highest | unfamiliar stain |")
    print("| --- | --- | --- | --- |")
    failed = False
    for kind, found in table:
        mean, stain = found["flagged"].mean(), found["stain"].mean()
        low, high = found["flagged"].min(), found["flagged"].max()
        print(f"| {kind} | {mean:.3f} | {low:.3f} to {high:.3f} | {stain:.3f} |")
        failed |= mean > MOST if kind == NEW else kind != BETWEEN and mean < LEAST
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
