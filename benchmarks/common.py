"""What benchmarks share: cells, runs, epochs without validation, medians, where results go."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch

from leukoscope.cells.phantom import write_phantoms
from leukoscope.cells.prepare import prepare
from leukoscope.cells.sources import read_sources
from leukoscope.cores import cores
from leukoscope.inference.bundle import Bundle
from leukoscope.inference.export import export
from leukoscope.progress import Bar
from leukoscope.training.run import Run, RunConfig, runs_below
from leukoscope.training.trainer import Trainer, train

CORES = cores()
RESULTS = Path(__file__).parent / "results"


@contextmanager
def phantom_cells(cells: int, seed: int = 0) -> Iterator[Path]:
    """Yield a folder of phantom cells, 450 × 450 BMP as C-NMC's, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        write_phantoms(Path(folder) / "cells", 20, cells, seed)
        yield Path(folder)


def asked_runs(description: str | None) -> list[Run]:
    """Return the runs in the folder that the command line names: one, or those of several folds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="of a run, or of those of several folds")
    folder = parser.parse_args().folder
    return [Run.open(folder)] if Run.exists(folder) else runs_below(folder)


class Epochs(Trainer):
    """A trainer that can be asked for the training half of one epoch."""

    def seconds(self) -> float:
        """Train one epoch as always; return the seconds up to its end, without validation."""
        self.judge.splits = {}
        started = time.perf_counter()
        self._epoch(Bar("bench", self.loader.cells, "images"), threading.Event())
        return time.perf_counter() - started

    def _close_epoch(self, row: dict[str, float]) -> None:
        self.progress.epoch, self.progress.batch = self.progress.epoch + 1, 0


LESSON = [
    "epochs=6",
    "learning_rate=0.01",
    "schedule=cosine",
    "warmup=1",
    "averaging=0.99",
    "keep=last",
    "zero_init_residual=true",
]
"""Enough to tell phantom cells apart: of one that cannot, integers leave most calls open."""


def trained_bundle(
    cells: Path | pd.DataFrame, name: str, size: int, place: Path, **options: int
) -> Bundle:
    """Return the bundle of a network trained on `cells`, with its graph in integers.

    As a rule that graph is in a bundle only if it calls validation cells as the network does; here
    speed alone is asked for, of however few cells.
    """
    if isinstance(cells, Path):
        cells = read_sources([cells]).cells
    store = prepare(cells, place / f"store-{name}", size=size)
    config = RunConfig.plan(
        store.folder,
        name,
        "demo",
        LESSON,
        model_options=options,
        threads=CORES,
        device="cpu",
        precision=None,
    )
    run = Run.create(place / f"run-{name}", config)
    train(run)
    with patch("leukoscope.inference.export.refusal", return_value=""):
        return export(run, place / f"bundle-{name}")


@contextmanager
def nodes(count: int) -> Iterator[str]:
    """Run a Ray cluster of nodes of one core of this machine each; yield its address.

    What a node starts stays on its core; this process shares the first one's, as one that is
    started there does.
    """
    with patch.dict(os.environ, RAY_USAGE_STATS_ENABLED="0"):
        from ray.cluster_utils import Cluster  # not above: the peers' environment is without it

        node = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
        cluster = Cluster()
        try:
            for core in range(count):
                with on_core(core):
                    cluster.add_node(**node, include_dashboard=False)
            with on_core(0):
                yield cluster.address
        finally:
            cluster.shutdown()


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep this process, and what it starts, on one of its cores."""
    there = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, there[number : number + 1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, there)


def once(work: Callable[[], object]) -> float:
    """Return the wall seconds of `work`."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def seconds(work: Callable[[], object], runs: int = 5) -> list[float]:
    """Return the wall seconds of each of `runs` calls of `work`, after one that is not counted."""
    work()
    return [once(work) for _ in range(runs)]


def commit() -> str:
    """Return the commit of the code that is measured, with ``-dirty`` if it was changed since."""
    words = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def tell(name: str, claim: str, unit: str, values: list[float], **more: float) -> None:
    """Print a claim with the median and spread of `values`, and keep it as JSON."""
    result = {
        "claim": claim,
        "unit": unit,
        "n": len(values),
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        **more,
        "machine": f"{cores()} cores, {platform.machine()}, {platform.system()}",
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    details = "".join(f", {key.replace('_', ' ')} {value:,.3g}" for key, value in more.items())
    print(
        f"{claim}\n  median {result['median']:,.4g} {unit} (n = {result['n']}, "
        f"{result['least']:,.4g} to {result['most']:,.4g}){details}; {result['machine']}"
    )
