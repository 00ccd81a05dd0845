"""What a comparison leaves beside its runs: figures, tables, and what to print."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from leukoscope.evaluation.result import Evaluation
from leukoscope.files import atomic
from leukoscope.reporting import figures
from leukoscope.reporting.style import svg
from leukoscope.spreadsheet import write_csv
from leukoscope.studies import ranking
from leukoscope.studies.architectures import Network

ACCURACY = "accuracy.svg"


def loss_file(network: Network) -> str:
    """Return the name of the file with the loss curves of `network`."""
    return f"loss-{network.name}.svg"


def confusion_file(network: Network) -> str:
    """Return the name of the file with the confusion matrix of `network`."""
    return f"confusion-{network.name}.svg"


def draw(networks: Sequence[Network]) -> dict[str, bytes]:
    """Return the figures of a comparison as SVG, by file name.

    Raises:
        BadInputError: a run was not evaluated on its test split, or the store has gone.
    """
    pictures = _pictures(networks)
    histories = {network.name: network.histories for network in networks}
    chosen = {network.name: kept(network) for network in networks}
    limits = figures.loss_limits(run for runs in histories.values() for run in runs)

    drawn = {ACCURACY: figures.accuracy_by_epoch(histories, chosen, pictures)}
    for network in networks:
        name = network.name
        drawn[loss_file(network)] = figures.loss_by_epoch(
            name, histories[name], chosen[name], pictures, limits
        )
        drawn[confusion_file(network)] = figures.confusion(name, confusions(network), "test")
    return {file: svg(figure) for file, figure in drawn.items()}


def confusions(network: Network) -> list[list[list[int]]]:
    """Return each run's confusion matrix on its test split, [true class][called class].

    Raises:
        BadInputError: a run was not evaluated on its test split.
    """
    return [Evaluation.read(run, "test").confusion or [[0, 0], [0, 0]] for run in network.runs]


def kept(network: Network) -> int | None:
    """Return the epoch whose weights all runs of `network` kept; None if they kept others."""
    epochs = {Evaluation.read(run, "test").epoch for run in network.runs}
    return epochs.pop() if len(epochs) == 1 else None


def write_comparison(networks: Sequence[Network], output: Path) -> str:
    """Write figures, ``summary.csv``, ``runs.csv`` and, of several networks, ``differences.csv``.

    Returns what to print.

    Raises:
        BadInputError: a run was not evaluated on its test split, or the store has gone.
    """
    summary = ranking.summary(networks)
    tables = {"summary.csv": summary, "runs.csv": ranking.runs_table(networks)}
    differences = ranking.differences_table(networks)
    if len(differences):
        tables["differences.csv"] = differences
    files = draw(networks)
    for file, content in files.items():
        with atomic(output / file) as scratch:
            scratch.write_bytes(content)
    for file, table in tables.items():
        write_csv(table, output / file)
    return "\n".join(
        [
            _printed(summary),
            "",
            "validation, test: by the weights of the epoch that is kept; the test had no say in it",
            "highest test: over all epochs; optimistic, because the test chose the epoch",
            *_told(differences),
            "",
            f"in {output}:",
            *(f"  {file}" for file in (*tables, *files)),
        ]
    )


def _pictures(networks: Sequence[Network]) -> dict[str, int]:
    """Return how many pictures each split has, where all runs agree."""
    counted: dict[str, set[int]] = {}
    # Runs of one division share its counts; opening a store anew for each network is not needed.
    divisions = {str(run.config.division): run for network in networks for run in network.runs}
    for run in divisions.values():
        store = run.open_store()
        counted.setdefault("train", set()).add(len(store.training_plan()[0]))
        for split in ("validation", "test"):
            counted.setdefault(split, set()).add(len(store.rows(split)))
    return {split: counts.pop() for split, counts in counted.items() if len(counts) == 1}


def _printed(summary: pd.DataFrame) -> str:
    columns = {
        "network": "network",
        "runs": "runs",
        "GMACs": "gmacs",
        "validation": "validation_accuracy",
        "test": "test_accuracy",
        "final test": "final_test_accuracy",
        "highest test": "highest_test_accuracy",
        "AUROC": "auroc",
        "low": "auroc_low",
        "high": "auroc_high",
    }
    table = summary[list(columns.values())].set_axis(list(columns), axis=1)
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="–")


def _told(differences: pd.DataFrame) -> list[str]:
    """Say in words what is decided between the networks."""
    if differences.empty:
        return []
    lines = ["", "differences of the second network from the first, 95 % over subjects:"]
    for row in differences.to_dict("records"):
        verdict = f"{row['verdict']} is better"
        if row["verdict"] == "undecided":
            verdict = "undecided"
            if not pd.isna(row["subjects_needed"]):
                verdict += f"; about {row['subjects_needed']:,} subjects would decide"
        interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
        if pd.isna(row["low"]):
            interval = "no interval: too few subjects"
        lines.append(
            f"  {row['second']} against {row['first']}, {row['metric'].replace('_', ' ')}: "
            f"{row['difference']:+.3f} ({interval}): {verdict}"
        )
    return lines
