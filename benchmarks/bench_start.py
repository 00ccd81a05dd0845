"""Claim: nobody waits for leukoscope to begin.

`import leukoscope` takes at most 0.3 s, `leukoscope --help` 0.5 s, `leukoscope predict` of one
picture in a new process 2.5 s, and one picture by a loaded bundle, from file to probability, 12 ms.
ResNet-18 at 224 px on all cores. The peer of each is Python itself, starting with nothing to do, or
Pillow alone reading and resizing the same picture.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from common import CORES, phantom_cells, seconds, tell, trained_bundle
from leukoscope.cells.pictures import read_picture
from leukoscope.cells.preprocess import preprocess
from leukoscope.evaluation.calibration import probability
from leukoscope.inference.engines import fastest, open_engine

SIZE, CELLS, RUNS, PICTURES = 224, 300, 7, 200


def process(*words: str) -> float:
    """Return the seconds of a new process of Python."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started


def starts(name: str, claim: str, *words: str) -> None:
    """Alternate a process with one that does nothing."""
    pairs = [(process(*words), process("-c", "pass")) for _ in range(RUNS + 1)][1:]
    tell(name, claim, "s", [ours for ours, _ in pairs], bare=min(bare for _, bare in pairs))


def main() -> None:
    """Measure all four."""
    command = ["-c", "from leukoscope.cli import main; main()"]
    starts("start-import", "import leukoscope", "-c", "import leukoscope")
    starts("start-help", "leukoscope --help", *command, "--help")
    with phantom_cells(CELLS) as folder, tempfile.TemporaryDirectory() as place:
        bundle = trained_bundle(folder / "cells", "resnet18", SIZE, Path(place))
        picture, calls = next((folder / "cells").rglob("*.bmp")), str(Path(place) / "calls.csv")
        starts(
            "start-predict",
            "leukoscope predict of one picture, in a new process",
            *command,
            *("predict", str(bundle.folder), str(picture), "-o", calls),
        )
        name = fastest(bundle, CORES)
        engine, info = open_engine(bundle, name, CORES), bundle.info

        def call() -> None:
            pixels = preprocess(read_picture(picture), info.preprocessing)
            probability(engine(pixels[None]).log_odds, info.temperature, info.prior)

        def pillow_alone() -> None:
            with Image.open(picture) as opened:
                opened.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)

        tell(
            "start-warm",
            f"one picture, ResNet-18 at {SIZE} px by {name}, warm, from file to probability",
            "ms",
            [1e3 * each for each in seconds(call, PICTURES)],
            Pillow_alone=1e3 * min(seconds(pillow_alone, PICTURES)),
        )


if __name__ == "__main__":
    main()
