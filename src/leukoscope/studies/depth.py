"""Do shortcuts keep a deeper network from getting worse?

The lab: "on average, the testing loss of ResNet152 is lower than that of ResNet50. This indicates
that after using shortcuts, the performance of deeper layers indeed does not deteriorate" (its
figures 13 and 14).

That comparison holds no network without shortcuts, so on its own it indicates nothing about them.
Plain networks of the same depths stand beside it here. Degradation, as He et al. 2016
(arXiv:1512.03385) use the word, is training accuracy lost with depth: overfitting cannot cause it.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leukoscope.studies.finding import Finding, Part, decide, spoken
from leukoscope.studies.histories import kept_epoch, labelled, log_ratio, second_half
from leukoscope.studies.runs import complete
from leukoscope.studies.study import Defaults, Setup, Study

LOSS_FACTOR = 1.2
"""By less than this, another seed might undo a ratio of median test losses."""

ACCURACY_MARGIN = 0.02
"""By less than this, another seed might undo a difference of training accuracies."""


def conduct(setup: Setup) -> Finding:
    """Train both depths, residual and plain, with each seed; measure, and judge."""
    runs = setup.with_and_without_shortcuts()
    setup.crew(complete, list(runs.values()))
    rows, curves = [], []
    for (seed, model, residual), run in runs.items():
        history = run.history
        curves.append(labelled(history, model=model, residual=residual, seed=seed))
        rows.append(
            {
                "model": model,
                "residual": residual,
                "seed": seed,
                "median_test_loss": history["test_loss"].median(),
                "mean_test_loss": history["test_loss"].mean(),
                "late_train_accuracy": second_half(history)["train_accuracy"].mean(),
                "test_accuracy": kept_epoch(run)["test_accuracy"],
            }
        )
    table = pd.DataFrame(rows)
    return STUDY.finding(setup, judge(table, *setup.models), table, pd.concat(curves))


def judge(table: pd.DataFrame, shallow: str, deep: str) -> list[Part]:
    """Hold `deep` against `shallow`, and what depth costs with shortcuts against without.

    Args:
        table: model, residual, seed, median_test_loss, late_train_accuracy.
        shallow: model of fewer layers.
        deep: model of more.
    """
    table = table.sort_values("seed")

    def of(model: str, residual: bool, column: str) -> NDArray[np.float64]:
        chosen = table["model"].eq(model) & table["residual"].eq(residual)
        return table.loc[chosen, column].to_numpy(dtype=float)

    losses = {model: of(model, True, "median_test_loss") for model in (shallow, deep)}
    lower = [
        log_ratio(less_deep, deeper)
        for less_deep, deeper in zip(losses[shallow], losses[deep], strict=True)
    ]
    accuracy = "late_train_accuracy"
    lost = {
        residual: of(shallow, residual, accuracy) - of(deep, residual, accuracy)
        for residual in (True, False)
    }
    told = ", ".join(f"{model} {spoken(losses[model], '{:.3f}')}" for model in losses)
    return [
        Part(
            f"the test loss of {deep} is lower than that of {shallow}",
            f"The median test loss over all epochs is {told}",
            decide(lower, float(np.log(LOSS_FACTOR))),
        ),
        Part(
            "depth costs more without shortcuts",
            f"From {shallow} to {deep} training accuracy falls by {spoken(lost[True], '{:.3f}')} "
            f"with shortcuts and by {spoken(lost[False], '{:.3f}')} without",
            decide(lost[False] - lost[True], ACCURACY_MARGIN),
        ),
    ]


STUDY = Study(
    name="depth",
    question="Do shortcuts keep a deeper network from getting worse?",
    claim="On average, the testing loss of ResNet152 is lower than that of ResNet50; after using "
    "shortcuts, the performance of deeper layers does not deteriorate.",
    conduct=conduct,
    usual=Defaults(models=("resnet50", "resnet152")),
    quick=Defaults(models=("resnet18", "resnet34"), recipe="demo", overrides=("epochs=4",)),
    networks=2,
)
