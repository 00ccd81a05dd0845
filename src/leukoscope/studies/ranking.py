"""Which network is better, and is that decided? A comparison as three tables."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from leukoscope import models
from leukoscope.errors import BadInputError
from leukoscope.evaluation.paired import delong, differences, mcnemar
from leukoscope.evaluation.pooled import first_seed, scored
from leukoscope.evaluation.result import Evaluation
from leukoscope.studies.architectures import Network
from leukoscope.training.run import Run

ACCURACIES = (
    "validation_accuracy",
    "test_accuracy",
    "final_test_accuracy",
    "highest_test_accuracy",
)


def runs_table(networks: Sequence[Network]) -> pd.DataFrame:
    """Return one row a run: its size and its accuracies.

    Columns: network, fold (of the people that tested), seed, parameters, gmacs (10⁹ multiply-adds a
    picture), epochs, kept_epoch, validation_accuracy and test_accuracy (of that
    epoch), final_test_accuracy (of the last epoch), highest_test_accuracy (over all epochs: the
    figure that the original lab reports, optimistic because the test chose it), hours.

    Raises:
        BadInputError: a run was not evaluated on its test split, or did not watch it.
    """
    return pd.DataFrame([_row(one.name, run) for one in networks for run in one.runs])


def summary(networks: Sequence[Network]) -> pd.DataFrame:
    """Return one row a network: the means of its runs, and metrics with intervals over people.

    Columns: network, runs, parameters, gmacs, epochs, the accuracies of `runs_table` as means
    over runs with their standard deviations (``…_sd``, NaN for one run), hours (in all), and
    accuracy, balanced_accuracy, sensitivity, specificity, auroc and ece of all test cells together
    with ``…_low`` and ``…_high``.

    Raises:
        BadInputError: as `runs_table`, or runs cannot be pooled.
    """
    rows = []
    for network in networks:
        runs = runs_table([network])
        first, means, spreads = runs.iloc[0], runs[[*ACCURACIES]].mean(), runs[[*ACCURACIES]].std()
        row: dict[str, Any] = {
            "network": network.name,
            "runs": len(runs),
            "parameters": first["parameters"],
            "gmacs": first["gmacs"],
            "epochs": first["epochs"],
        }
        for accuracy in ACCURACIES:
            row |= {accuracy: means[accuracy], f"{accuracy}_sd": spreads[accuracy]}
        row["hours"] = runs["hours"].sum()
        for metric, estimate in network.estimates.items():
            row |= {
                metric: estimate.value,
                f"{metric}_low": estimate.low,
                f"{metric}_high": estimate.high,
            }
        rows.append(row)
    # What is undefined, as the interval over a single subject, is NaN in every column of numbers.
    return pd.DataFrame(rows).replace({None: np.nan}).infer_objects()


def differences_table(networks: Sequence[Network]) -> pd.DataFrame:
    """Return one row a pair of networks and metric: is one better on the same people?

    Columns: first, second, metric, difference (second less first) with low and high over people,
    verdict (second, first, undecided), subjects_needed to decide if the difference is what it
    seems (NA: decided, or beyond what was simulated), and cell_low, cell_high and the p-values of
    delong (AUROC) or mcnemar (accuracy) of the first seed, which take cells for independent.

    Raises:
        BadInputError: the networks did not test the same cells.
    """
    rows = []
    for first, second in combinations(networks, 2):
        (one, units), (two, _) = scored(first.pools), scored(second.pools)
        ids = [first_seed(network.pools)["id"] for network in (first, second)]
        if not ids[0].equals(ids[1]):
            raise BadInputError(f"{first.name} and {second.name} did not test the same cells")
        truth, scores = one[0].truth, [one[0].probability, two[0].probability]
        independent = {
            "auroc": {"delong": delong(truth, *scores)},
            "accuracy": {"mcnemar": mcnemar(truth, scores[0] >= 0.5, scores[1] >= 0.5)},
        }
        for found in differences(one, two, units):
            estimate = found.estimate
            better = second.name if (estimate.value or 0) > 0 else first.name
            rows.append(
                {
                    "first": first.name,
                    "second": second.name,
                    "metric": found.metric,
                    "difference": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "verdict": better if estimate.clear else "undecided",
                    "subjects_needed": found.subjects_needed,
                    "cell_low": estimate.cell_low,
                    "cell_high": estimate.cell_high,
                    "delong": None,
                    "mcnemar": None,
                    **independent.get(found.metric, {}),
                }
            )
    numbers = ("difference", "low", "high", "cell_low", "cell_high", "delong", "mcnemar")
    types = {**dict.fromkeys(numbers, "float64"), "subjects_needed": "Int64"}
    return pd.DataFrame(rows).astype(types) if rows else pd.DataFrame()


def _row(name: str, run: Run) -> dict[str, Any]:
    config, history = run.config, run.history
    test, size = Evaluation.read(run, "test"), run.open_store().info.preprocessing.size
    if "test_accuracy" not in history:
        raise BadInputError(
            f"{run.folder} was trained without --watch-test, so its test accuracy by epoch is "
            "unknown; `leukoscope compare` trains runs that can be compared"
        )
    best = history.set_index("epoch").loc[test.epoch]
    return {
        "network": name,
        "fold": run.open_store().info.division.fold,
        "seed": config.seed,
        "parameters": models.parameters(config.model, **config.model_options),
        "gmacs": models.gmacs(config.model, size, **config.model_options),
        "epochs": len(history),
        "kept_epoch": test.epoch,
        "validation_accuracy": best["validation_accuracy"],
        "test_accuracy": test.accuracy,
        "final_test_accuracy": history["test_accuracy"].iloc[-1],
        "highest_test_accuracy": history["test_accuracy"].max(),
        "hours": history["seconds"].sum() / 3600,
    }
