"""Does validation accuracy fluctuate because the learning rate is too high?

The lab: "If the learning rate is set too high, the model might skip the optimal solution during
training. Instead of steadily converging towards the minimum loss, the model might bounce around,
resulting in fluctuating validation accuracy."

The recipe's rate is varied over a decade each way. The claim needs that fluctuation rises with the
rate, and that the recipe's own is already too high: that a tenth of it fluctuates less.
"""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from leukoscope.errors import BadInputError
from leukoscope.files import write_text
from leukoscope.studies.finding import Finding, Part, decide, spoken
from leukoscope.studies.histories import (
    fluctuation,
    fluctuation_margin,
    kept_epoch,
    labelled,
    log_ratio,
    second_half,
)
from leukoscope.studies.runs import complete
from leukoscope.studies.study import Defaults, Setup, Study
from leukoscope.training.divergence import Diverged
from leukoscope.training.recipe import recipe
from leukoscope.training.run import Run

COLUMNS = [
    "factor",
    "learning_rate",
    "seed",
    "diverged",
    "fluctuation",
    "changes",
    "final_train_loss",
    "validation_accuracy",
]
"""Of the table; the last four are unknown of a training that diverged."""


def conduct(setup: Setup) -> Finding:
    """Train at each rate with each seed, measure and judge.

    `Setup.values` are factors of the recipe's own rate.

    Raises:
        BadInputError: 1 is not among the factors, or none is smaller.
    """
    if 1 not in setup.values or min(setup.values) == 1:
        raise BadInputError(
            "study learning-rate needs the factor 1, the recipe's own rate, and a smaller one"
        )
    own = recipe(setup.recipe, setup.overrides).learning_rate
    rates = {factor: float(f"{own * factor:.6g}") for factor in setup.values}
    runs = {
        (seed, factor): setup.run(f"rate{rate:g}", seed, overrides=[f"learning_rate={rate}"])
        for seed, (factor, rate) in product(setup.seeds, rates.items())
    }
    setup.crew(_complete_or_note, list(runs.values()))
    rows, curves = [], []
    for (seed, factor), run in runs.items():
        diverged, history = _note(run).exists(), run.history
        curves.append(labelled(history, factor=factor, seed=seed))
        row = {
            "factor": factor,
            "learning_rate": rates[factor],
            "seed": seed,
            "diverged": diverged,
        }
        if not diverged:
            row |= {
                "fluctuation": fluctuation(history),
                "changes": len(second_half(history)),
                "final_train_loss": history["train_loss"].iloc[-1],
                "validation_accuracy": kept_epoch(run)["validation_accuracy"],
            }
        rows.append(row)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    cells = len(run.open_store().rows("validation"))
    return STUDY.finding(setup, judge(table, cells), table, pd.concat(curves))


def judge(table: pd.DataFrame, cells: int) -> list[Part]:
    """Hold the highest rate and the recipe's own against the lowest.

    Args:
        table: factor (of the recipe's own rate), learning_rate, seed, fluctuation, changes (it is
            measured over), diverged. A rate that diverged with some seed has no fluctuation and is
            left out.
        cells: of the validation split.
    """
    steady = table[~table.groupby("factor")["diverged"].transform("any")]
    factors = sorted(steady["factor"].unique())
    at = {factor: steady[steady["factor"] == factor] for factor in factors}
    told = ", ".join(
        f"{spoken(part['fluctuation'], '{:.4f}')} at {part['learning_rate'].iloc[0]:g}"
        for part in at.values()
    )
    lost = sorted(set(table["learning_rate"]) - set(steady["learning_rate"]))
    if lost:
        told += f" (diverged at {', '.join(f'{rate:g}' for rate in lost)})"

    def more(high: float) -> list[float]:
        return [
            log_ratio(fast, slow, floor=1 / cells)
            for fast, slow in zip(
                at[high]["fluctuation"], at[factors[0]]["fluctuation"], strict=True
            )
        ]

    own = more(1) if 1 in at else []
    margin = fluctuation_margin(steady["changes"].min())
    return [
        Part(
            "fluctuation is greater at the highest rate than at the lowest",
            f"Validation accuracy changes from epoch to epoch with a standard deviation of {told}"
            if at
            else "Every training diverged",
            decide(more(factors[-1]) if len(factors) > 1 else [], margin),
        ),
        Part(
            "the recipe's own rate is already too high",
            f"At the recipe's own rate it is {np.exp(np.mean(own)):.2f} times that at the lowest"
            if own
            else "At the recipe's own rate the training diverged",
            decide(own, margin),
        ),
    ]


def _note(run: Run) -> Path:
    """Return where it is noted that `run` diverged."""
    return run.folder / "diverged.txt"


def _complete_or_note(run: Run) -> None:
    """Complete `run` unless its loss becomes no number, which is noted and not tried again."""
    if _note(run).exists():
        return
    try:
        complete(run)
    except Diverged as error:
        write_text(_note(run), f"{error}\n")


STUDY = Study(
    name="learning-rate",
    question="Does validation accuracy fluctuate because the learning rate is too high?",
    claim="If the learning rate is set too high, the model might bounce around, resulting in "
    "fluctuating validation accuracy.",
    conduct=conduct,
    usual=Defaults(models=("resnet18",), values=(0.1, 0.3, 1, 3, 10)),
    quick=Defaults(
        models=("resnet18",), values=(0.1, 1, 10), recipe="demo", overrides=("epochs=8",)
    ),
    varies="factors of the recipe's learning rate",
)
