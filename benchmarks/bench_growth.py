"""Claim: work grows with the cells and no faster, and 15,000 are audited within 2 minutes.

Preparing (450 × 450 BMPs → 64 px), auditing, one epoch of ResNet-18 and calling by its bundle, for
the first 1,000, 4,000 and 16,000 of one set of phantom cells, once each: what is asked is how the
cost a cell changes, drawn in docs/growth.svg. The peer of the audit is Pillow alone, decoding.
Phantom cells take long to render, so the counts can be given: ``bench_growth.py 200 800``.
"""

import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from common import CORES, Epochs, once, phantom_cells, tell, trained_bundle
from leukoscope.cells.audit import audit
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.inference.model import Model
from leukoscope.reporting.figures import label_ends
from leukoscope.reporting.style import STYLE, svg
from leukoscope.training.run import Run, RunConfig

COUNTS = (1_000, 4_000, 16_000)
FIGURE = Path(__file__).parent.parent / "docs" / "growth.svg"


def decode(path: str) -> None:
    """Decode one picture."""
    with Image.open(path) as picture:
        picture.load()


def main(counts: list[int]) -> None:
    """Do each work on so many cells."""
    costs = pd.DataFrame(index=counts, dtype=float)
    with phantom_cells(max(counts)) as folder, tempfile.TemporaryDirectory() as place:
        # Spread over all subjects, whatever the count: look-alikes are what costs.
        cells = read_sources([folder / "cells"]).cells.sample(frac=1, random_state=0)
        bundle = trained_bundle(cells.head(min(counts)), "resnet18", 64, Path(place))
        model = Model(bundle)
        for count in counts:
            some, store = cells.head(count), folder / f"store-{count}"
            paths = list(some["path"])
            works: dict[str, Callable[[], object]] = {
                "prepare": lambda some=some, store=store: prepare(some, store, size=64),
                "audit": lambda some=some: audit(some),
                "decode alone": lambda paths=paths: decoded(paths),
                "predict": lambda paths=paths: model.predict(paths),
            }
            for name, work in works.items():
                costs.loc[count, name] = 1e3 * once(work) / count
            config = RunConfig.plan(store, "resnet18", "lab", threads=CORES, device="cpu")
            epochs = Epochs(Run.create(Path(place) / f"run-{count}", config), None)
            costs.loc[count, "train an epoch"] = 1e3 * epochs.seconds() / epochs.loader.cells
    for name, cost in costs.items():
        tell(
            f"growth-{name.replace(' ', '-')}",
            f"{name}: cost of {' / '.join(f'{count:,}' for count in counts)} cells",
            "ms a cell",
            list(cost),
            largest_to_smallest_count=cost.iloc[-1] / cost.iloc[0],
        )
    draw(costs)


def decoded(paths: list[str]) -> None:
    """Decode all of `paths` on all cores."""
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(decode, paths))


def draw(costs: pd.DataFrame) -> None:
    """Draw the cost a cell over the number of cells."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.subplots()
        for name, cost in costs.items():
            axes.plot(cost.index, cost, marker="o", label=name)
        axes.set(xscale="log", ylim=(0, None), xlabel="cells", ylabel="milliseconds a cell")
        axes.set_xticks(list(costs.index), [f"{count:,}" for count in costs.index])
        axes.minorticks_off()
        label_ends(axes, list(map(str, costs)))
        FIGURE.write_bytes(svg(figure))


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or list(COUNTS))
