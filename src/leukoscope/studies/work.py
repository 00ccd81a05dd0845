"""Work: what a training has computed when it gets where another one ends."""

from collections.abc import Sequence

import numpy as np

from leukoscope import models
from leukoscope.evaluation.metrics import Floats
from leukoscope.training.run import Run


def work(first: Sequence[Run], other: Sequence[Run]) -> float:
    """Return the multiply-adds of `other` up to the validation AUROC at the end of `first`, as a
    share of `first`'s.

    The AUROC is the mean over the runs of its epoch's weights, so both are to be of the same folds
    and seeds. Only forward passes are counted: a backward pass costs every network twice its own.

    Returns NaN where `other` never gets there.
    """
    reached = _aurocs(other) >= _aurocs(first)[-1]
    if not reached.any():
        return float("nan")
    epochs = int(reached.argmax()) + 1
    whole = sum(_gmacs(run) * run.config.recipe.epochs for run in first)
    return epochs * sum(_gmacs(run) for run in other) / whole


def _aurocs(runs: Sequence[Run]) -> Floats:
    return np.asarray(np.mean([run.history["validation_auroc"] for run in runs], axis=0))


def _gmacs(run: Run) -> float:
    """Return the 10⁹ multiply-adds of an epoch's forward passes."""
    config, store = run.config, run.open_store()
    picture = models.gmacs(config.model, store.info.preprocessing.size, **config.model_options)
    return picture * len(store.training_plan()[0])
