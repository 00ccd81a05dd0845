"""Claim: calling 100,000 pictures takes no more memory than calling some thousands.

The same phantom cells under many names (hard links), called by `leukoscope predict` in processes of
their own, whose highest resident memory the system tells. The peer is the same command on a tenth
of them. A narrow network: what is asked is memory, not arithmetic.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import phantom_cells, tell, trained_bundle

CELLS, PICTURES = 500, (10_000, 100_000)
PROCESS = """
import resource, sys
from leukoscope.cli import app
app(sys.argv[1:], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak(bundle: Path, pictures: Path) -> float:
    """Return the highest resident memory of calling all `pictures`, in MiB."""
    words = ["predict", str(bundle), str(pictures), "-o", str(pictures.with_suffix(".parquet"))]
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, *words], check=True, capture_output=True, text=True
    )
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Call few and many."""
    with phantom_cells(CELLS) as folder, tempfile.TemporaryDirectory(dir=folder) as place:
        bundle = trained_bundle(folder / "cells", "resnet18", 64, Path(place), width=16)
        sources = list((folder / "cells").rglob("*.bmp"))
        peaks = {}
        for count in PICTURES:
            archive = Path(place) / str(count)
            archive.mkdir()
            for number in range(count):
                source = sources[number % len(sources)]
                os.link(source, archive / f"{number}.bmp")
            peaks[count] = peak(bundle.folder, archive)
    few, many = (peaks[count] for count in PICTURES)
    tell(
        "archive",
        f"highest memory of calling {PICTURES[1]:,} pictures",
        "MiB",
        [many],
        a_tenth_of_them=few,
        bytes_a_picture_more=2**20 * (many - few) / (PICTURES[1] - PICTURES[0]),
    )


if __name__ == "__main__":
    main()
