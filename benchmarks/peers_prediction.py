"""Claim: from pictures to a table of calls at least 5 × as fast as Hugging Face's pipeline.

And at least 3 × as fast as a plain loop in PyTorch. All call the same phantom cells, BMPs of
450 × 450 at 224 px, with ResNets of the same shape, on all cores, alternating. Hugging Face's
pipeline is timed with one picture at a time, its default, and with 16; the faster one counts.

The network is one that has learned, ``--run`` or one trained here, and called are cells of people
whom it never met: of these its integers leave some to floating point.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import torch
from transformers import (
    ConvNextImageProcessor,
    ResNetConfig,
    ResNetForImageClassification,
    pipeline,
)

from common import CORES, phantom_cells, tell, trained_bundle
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.preprocess import preprocess
from leukoscope.inference import inputs
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.calls import write
from leukoscope.inference.engines import fastest
from leukoscope.inference.export import export, refusal
from leukoscope.inference.model import Model
from leukoscope.training.run import Run

SIZE, LEARNED, CELLS, ROUNDS, BATCH = 224, 2_000, 600, 3, 16

SHAPES = {
    "resnet18": {
        "depths": [2, 2, 2, 2],
        "hidden_sizes": [64, 128, 256, 512],
        "layer_type": "basic",
    },
    "resnet50": {"depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]},
}
"""Of Hugging Face's networks."""


def ours(bundle: Bundle, pictures: Path, target: Path) -> None:
    """Call as `leukoscope predict` does."""
    cells = inputs.find([pictures]).cells
    write(Model(bundle).predict([cell.path for cell in cells]), target)


@torch.inference_mode()
def plain(run: Run, bundle: Bundle, pictures: Path, target: Path) -> None:
    """Call as one writes it first: read a batch, pass it through the network, and again."""
    network, standard = run.load_model().to(memory_format=torch.contiguous_format), run.standard()
    torch.set_num_threads(CORES)
    paths = sorted(pictures.rglob("*.bmp"))
    rows = []
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        pixels = [preprocess(read_picture(path), bundle.info.preprocessing) for path in some]
        batch = torch.stack([torch.from_numpy(one.copy()) for one in pixels]).permute(0, 3, 1, 2)
        seen = (batch.float() / 255 - standard.mean[:, None, None]) * standard.mixing.diag()[
            :, None, None
        ]
        rows += list(zip(some, network(seen).softmax(1)[:, 1].tolist(), strict=True))
    pd.DataFrame(rows, columns=["path", "probability"]).to_csv(target)


def theirs(name: str, folder: Path) -> Callable[[Path, Path, int], None]:
    """Return Hugging Face's pipeline, loaded, over a network of the same shape."""
    place = str(folder / f"hf-{name}")
    ResNetForImageClassification(ResNetConfig(num_labels=2, **SHAPES[name])).save_pretrained(place)
    ConvNextImageProcessor(size={"shortest_edge": SIZE}, crop_pct=1.0).save_pretrained(place)
    classify = pipeline("image-classification", model=place, device="cpu")

    def call(pictures: Path, target: Path, batch: int) -> None:
        torch.set_num_threads(CORES)
        paths = [str(path) for path in sorted(pictures.rglob("*.bmp"))]
        found = classify(paths, batch_size=batch)
        pd.DataFrame({"path": paths, "told": found}).to_csv(target)

    return call


def elsewhere(make: Callable[..., Bundle], *given: object) -> Bundle:
    """Return what `make` makes, in a process of its own.

    One that has trained or judged keeps the memory that tensors free; the peers are to be timed as
    they come.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(make, *given).result()


def rate(work: Callable[[], None]) -> float:
    """Return cells a second."""
    started = time.perf_counter()
    work()
    return CELLS / (time.perf_counter() - started)


def main(names: list[str], trained: Path | None) -> None:
    """Alternate all of them, for each of the networks named, or for one that is trained."""
    with (
        phantom_cells(LEARNED) as learned,
        phantom_cells(CELLS, seed=1) as folder,
        tempfile.TemporaryDirectory() as place,
    ):
        pictures, target = folder / "cells", Path(place) / "calls.csv"
        for name in names:
            if trained:
                run = Run.open(trained)
                bundle = elsewhere(export, run, Path(place) / "bundle")
            else:
                bundle = elsewhere(trained_bundle, learned / "cells", name, SIZE, Path(place))
                run = Run.open(Path(place) / f"run-{name}")
            check = bundle.info.checks["int8"]
            if refused := refusal(check):
                raise SystemExit(f"{name}: its integers may not be used, {refused}")
            engine, pipe = fastest(bundle, CORES), theirs(name, Path(place))
            ways: dict[str, Callable[[], None]] = {
                "ours": lambda bundle=bundle: ours(bundle, pictures, target),
                "plain": lambda run=run, bundle=bundle: plain(run, bundle, pictures, target),
                "pipeline, 1": lambda pipe=pipe: pipe(pictures, target, 1),
                f"pipeline, {BATCH}": lambda pipe=pipe: pipe(pictures, target, BATCH),
            }
            rates = {way: [rate(work)] for way, work in ways.items()}  # the first does not count
            for way in rates:
                rates[way].clear()
            for _ in range(ROUNDS):
                for way, work in ways.items():
                    rates[way].append(rate(work))
            pipelines = max(max(found) for way, found in rates.items() if "pipeline" in way)
            tell(
                f"predict-{name}",
                f"{name}, {SIZE} px: {CELLS} BMPs to a CSV by {engine}",
                "cells/s",
                rates["ours"],
                plain_loop=max(rates["plain"]),
                Hugging_Face=pipelines,
                times_the_plain_loop=max(rates["ours"]) / max(rates["plain"]),
                times_Hugging_Face=max(rates["ours"]) / pipelines,
                validation_cells=check.cells,
                called_alike=check.agreement,
                by_floating_point=check.beyond,
            )


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--models", type=lambda text: text.split(","), default=list(SHAPES))
    asked.add_argument("--run", type=Path, help="of a network that is trained, at 224 px")
    given = asked.parse_args()
    main([Run.open(given.run).config.model] if given.run else given.models, given.run)
