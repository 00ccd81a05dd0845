"""Pictures of a store, for those who want to look: what a network is shown, as PNG files."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from leukoscope.cells.store import Store
from leukoscope.files import atomic
from leukoscope.progress import Bar


def export_images(store: Store, folder: Path) -> int:
    """Write every planned training picture, and the other splits, as PNG; return how many.

    ``folder/<split>/<0|1|unknown>/<row>-<file stem>[-flip][-r90].png``.
    """
    planned = store.plan
    if planned is None:
        rows = store.rows("train")
        planned = pd.DataFrame({"row": rows, "flip": False, "rotation": 0, "split": "train"})
    rest = store.cells["split"].isin(["validation", "test"])
    others = pd.DataFrame({"row": np.flatnonzero(rest), "flip": False, "rotation": 0})
    others["split"] = store.cells.loc[rest, "split"].to_numpy()
    planned = pd.concat([planned, others], ignore_index=True)
    with Bar("exporting pictures", len(planned), "images") as bar:
        for row, flip, rotation, split in planned.itertuples(index=False):
            cell = store.cells.iloc[row]
            label = "unknown" if pd.isna(cell["label"]) else str(cell["label"])
            turn = ("-flip" if flip else "") + (f"-r{rotation}" if rotation else "")
            name = f"{row:06}-{Path(cell['path']).stem}{turn}.png"
            picture = np.rot90(store.pixels[row], rotation // 90)
            with atomic(folder / split / label / name) as scratch:
                Image.fromarray(picture[:, ::-1] if flip else picture).save(scratch)
            bar.advance()
    return len(planned)
