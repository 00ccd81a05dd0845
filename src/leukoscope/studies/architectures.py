"""Which architecture? Several networks under one recipe, on one store, from one seed."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from leukoscope import models
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.evaluate import evaluate
from leukoscope.evaluation.result import Evaluation, metrics_file
from leukoscope.studies.runs import complete, open_or_create
from leukoscope.training.run import Run, RunConfig


def compare(configs: Sequence[RunConfig], folder: Path) -> list[Run]:
    """Train each configuration in ``folder/<model>`` and evaluate it on validation and test.

    A finished run is kept as it is, an unfinished one goes on from its last checkpoint.

    Raises:
        BadInputError: a folder holds a run of another configuration.
    """
    runs = [open_or_create(config, folder / config.model) for config in configs]
    for run in runs:
        complete(run)
        for split in ("validation", "test"):
            if not metrics_file(run, split).exists():
                evaluate(run, split)
    return runs


def runs_of(folder: Path) -> list[Run]:
    """Return the runs in a comparison's folder, shallow networks first.

    Raises:
        BadInputError: there is none.
    """
    found = [Run.open(path.parent) for path in folder.glob("*/config.yaml")]
    if not found:
        raise BadInputError(f"{folder} holds no runs; make them with `leukoscope compare`")
    return sorted(found, key=lambda run: (models.names().index(run.config.model), run.folder))


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a network: its size and its accuracies.

    Columns: model, parameters, gmacs (10⁹ multiply-adds a picture), epochs, best_epoch (on
    validation), validation_accuracy and test_accuracy (of that epoch), final_test_accuracy (of the
    last epoch), highest_test_accuracy (over all epochs: the figure that the original lab reports,
    optimistic because the test chose it), hours.

    Raises:
        BadInputError: a run was not evaluated on its test split, or did not watch it.
    """
    rows = []
    for run in runs:
        history, size = run.history, Store.open(Path(run.config.store)).info.preprocessing.size
        test = Evaluation.read(run, "test")
        if "test_accuracy" not in history:
            raise BadInputError(
                f"{run.folder} was trained without --watch-test, so its test accuracy by epoch is "
                "unknown; `leukoscope compare` trains runs that can be compared"
            )
        best = history.set_index("epoch").loc[test.epoch]
        rows.append(
            {
                "model": run.config.model,
                "parameters": models.parameters(run.config.model, **run.config.model_options),
                "gmacs": models.gmacs(run.config.model, size, **run.config.model_options),
                "epochs": len(history),
                "best_epoch": test.epoch,
                "validation_accuracy": best["validation_accuracy"],
                "test_accuracy": test.accuracy,
                "final_test_accuracy": history["test_accuracy"].iloc[-1],
                "highest_test_accuracy": history["test_accuracy"].max(),
                "hours": history["seconds"].sum() / 3600,
            }
        )
    return pd.DataFrame(rows)
