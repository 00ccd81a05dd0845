"""What a comparison leaves beside its runs: figures, ``summary.csv``, and a table to print."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from leukoscope.evaluation.result import Evaluation
from leukoscope.files import atomic
from leukoscope.reporting import figures
from leukoscope.reporting.style import svg
from leukoscope.studies import architectures
from leukoscope.training.run import Run

ACCURACY = "accuracy.svg"


def loss_file(run: Run) -> str:
    """Return the name of the file with the loss curves of `run`."""
    return f"loss-{run.folder.name}.svg"


def confusion_file(run: Run) -> str:
    """Return the name of the file with the confusion matrix of `run`."""
    return f"confusion-{run.folder.name}.svg"


def draw(runs: Sequence[Run]) -> dict[str, bytes]:
    """Return the figures of a comparison as SVG, by file name.

    Raises:
        BadInputError: a run was not evaluated on its test split, or the store has gone.
    """
    store = runs[0].open_store()
    pictures = {split: len(store.rows(split)) for split in ("validation", "test")}
    pictures["train"] = len(store.training_plan()[0])
    # By folder: two runs of one model may be compared, and in a comparison it is the model's name.
    histories = {run.folder.name: run.history for run in runs}
    tests = {run.folder.name: Evaluation.read(run, "test") for run in runs}
    kept = {name: metrics.epoch for name, metrics in tests.items()}
    limits = figures.loss_limits(histories.values())

    drawn = {ACCURACY: figures.accuracy_by_epoch(histories, kept, pictures)}
    for run in runs:
        name = run.folder.name
        drawn[loss_file(run)] = figures.loss_by_epoch(
            name, histories[name], kept[name], pictures, limits
        )
        drawn[confusion_file(run)] = figures.confusion(name, tests[name])
    return {file: svg(figure) for file, figure in drawn.items()}


def write_comparison(runs: Sequence[Run], output: Path) -> str:
    """Write the figures and ``summary.csv`` of `runs` into `output`; return what to print.

    Raises:
        BadInputError: a run was not evaluated on its test split, or the store has gone.
    """
    summary = architectures.summary(runs)
    files = draw(runs)
    for file, content in files.items():
        with atomic(output / file) as scratch:
            scratch.write_bytes(content)
    with atomic(output / "summary.csv") as scratch:
        summary.to_csv(scratch, index=False, lineterminator="\n")
    return "\n".join(
        [
            _printed(summary),
            "",
            "validation, test: by the weights of the best epoch, which validation chose",
            "highest test: over all epochs; optimistic, because the test chose the epoch",
            "",
            f"in {output}:",
            *(f"  {file}" for file in ("summary.csv", *files)),
        ]
    )


def _printed(summary: pd.DataFrame) -> str:
    columns = {
        "model": ("model", "{}"),
        "parameters": ("parameters", "{:,}"),
        "gmacs": ("GMACs", "{:.2f}"),
        "best_epoch": ("best epoch", "{}"),
        "validation_accuracy": ("validation", "{:.4f}"),
        "test_accuracy": ("test", "{:.4f}"),
        "final_test_accuracy": ("final test", "{:.4f}"),
        "highest_test_accuracy": ("highest test", "{:.4f}"),
    }
    table = pd.DataFrame(
        {title: summary[name].map(form.format) for name, (title, form) in columns.items()}
    )
    width = table["model"].str.len().max()
    table["model"] = table["model"].str.ljust(width)
    return table.rename(columns={"model": "model".ljust(width)}).to_string(index=False)
