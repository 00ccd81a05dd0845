"""Several runs of one network as one: folds pooled, so that each person is tested once, and seeds
averaged, so that luck with the first weights is averaged out.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from leukoscope.errors import BadInputError
from leukoscope.evaluation.bootstrap import Statistic, Units
from leukoscope.evaluation.judgement import Estimator
from leukoscope.evaluation.metrics import Floats, Scored
from leukoscope.evaluation.result import Estimate, predictions_file
from leukoscope.training.run import Run

METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc", "ece")


def pool(runs: Sequence[Run], split: str = "test") -> dict[int, pd.DataFrame]:
    """Return, by seed, the labelled predictions of all folds of a network, in the order of ids.

    The column ``run`` is the place among `runs` of the one that made them.

    Raises:
        BadInputError: a cell was called twice for one seed, or seeds called other cells.
    """
    found: dict[int, list[pd.DataFrame]] = {}
    for number, run in enumerate(runs):
        cells = pd.read_parquet(predictions_file(run, split)).dropna(subset=["label"])
        cells = cells.astype({"label": int}).assign(run=number)
        found.setdefault(run.config.seed, []).append(cells)
    pools = {
        seed: pd.concat(parts).sort_values("id", ignore_index=True)
        for seed, parts in sorted(found.items())
    }
    first, *others = pools.values()
    if first["id"].duplicated().any() or any(not first["id"].equals(one["id"]) for one in others):
        folders = ", ".join(str(run.folder) for run in runs)
        raise BadInputError(
            f"these runs did not test the same cells once a seed, and cannot be pooled: {folders}"
        )
    return pools


def first_seed(pools: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return what the first seed says: of the same cells, in the same order, as all others."""
    return next(iter(pools.values()))


def scored(pools: dict[int, pd.DataFrame]) -> tuple[list[Scored], Units]:
    """Return what each seed says of the cells of `pools`, and the people they are of."""
    first = first_seed(pools)
    truth = first["label"].eq(1).to_numpy(dtype=bool)
    seeds = [Scored(truth, cells["calibrated"].to_numpy()) for cells in pools.values()]
    return seeds, Units.of(first["person"], truth)


def together(pools: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """Return the cells of `pools` as all seeds together call them: log-odds averaged."""
    # A probability of exactly 0 or 1 would outweigh whatever the other seeds say.
    least = np.finfo(float).eps
    odds = [logit(cells["calibrated"].clip(least, 1 - least)) for cells in pools.values()]
    return first_seed(pools).assign(calibrated=expit(np.mean(odds, axis=0)))


def averaged(seeds: Sequence[Scored], metrics: Sequence[str], threshold: float = 0.5) -> Statistic:
    """Return the statistic that is the mean over `seeds` of each of `metrics`."""

    def statistic(weights: Floats) -> dict[str, Floats]:
        each = [one.scores(weights) | one.calls(threshold, weights) for one in seeds]
        return {metric: np.mean([one[metric] for one in each], axis=0) for metric in metrics}

    return statistic


def estimates(pools: dict[int, pd.DataFrame]) -> dict[str, Estimate]:
    """Return each of `METRICS` of a network, its mean over seeds, with intervals."""
    seeds, units = scored(pools)
    estimate = Estimator(averaged(seeds, METRICS), units)
    return {metric: estimate(metric, metric) for metric in METRICS}
