"""How often a run's test split was looked at: each look is a chance to choose by it.

``test-reads.csv`` in the run folder has a row for each epoch whose weights were judged on the test
split: when (UTC), checkpoint, epoch. Judging the same weights again tells nothing new.
"""

from datetime import UTC, datetime

import pandas as pd

from leukoscope.spreadsheet import write_csv
from leukoscope.training.run import Run, Which


def record(run: Run, which: Which, epoch: int) -> None:
    """Note that the weights of `epoch` are judged on the test split of `run`."""
    table = read(run)
    if epoch in table["epoch"].tolist():
        return
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    row = pd.DataFrame([{"when": when, "checkpoint": which, "epoch": epoch}])
    write_csv(pd.concat([table, row]), run.folder / "test-reads.csv")


def read(run: Run) -> pd.DataFrame:
    """Return the looks at the test split of `run` so far, the first one first."""
    path = run.folder / "test-reads.csv"
    if path.exists():
        return pd.read_csv(path)
    return pd.DataFrame({"when": [], "checkpoint": [], "epoch": []}, dtype=object)
