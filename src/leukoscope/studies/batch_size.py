"""Is a small batch better, because it fluctuates more and so ends in a flatter minimum?

The lab: "when a small batch encounters a small valley (sharp), it may jump out of it quickly, so
it usually occurs in flat minima", "the smaller batch size oscillates more severely", "small batch
size is better on testing" (its figures 10 and 11: 16 against 64).

Every size trains for as many epochs at one learning rate, as in the lab: a batch four times as
large makes a quarter of the steps. The smallest is held against the largest, in three parts, each
of which the claim needs: fluctuation, sharpness, and accuracy on the test by the epoch that the
recipe keeps.
"""

from functools import partial
from itertools import product

import pandas as pd
import torch

from leukoscope.progress import tracked
from leukoscope.studies.finding import Finding, Part, decide, spoken
from leukoscope.studies.histories import (
    accuracy_margin,
    fluctuation,
    fluctuation_margin,
    kept_epoch,
    labelled,
    log_ratio,
    second_half,
)
from leukoscope.studies.runs import complete
from leukoscope.studies.sample import Sample, loss_and_gradient
from leukoscope.studies.sharpness import EPSILONS, sharpness
from leukoscope.studies.study import Defaults, Setup, Study, kept
from leukoscope.training.run import Run

FACTOR = 2.0
"""By less than this, another seed might undo a ratio of sharpnesses."""


def conduct(setup: Setup) -> Finding:
    """Train each batch size with each seed; measure, and judge."""
    runs = {
        (seed, size): setup.run(f"batch{size:g}", seed, overrides=[f"batch_size={size:g}"])
        for seed, size in product(setup.seeds, setup.values)
    }
    measured = partial(_complete_and_measured, cells=setup.sample)
    setup.crew(measured, list(runs.values()))
    rows, curves = [], []
    for (seed, size), run in runs.items():
        curves.append(labelled(run.history, batch_size=int(size), seed=seed))
        rows.append(
            {
                "batch_size": int(size),
                "seed": seed,
                "fluctuation": fluctuation(run.history),
                "changes": len(second_half(run.history)),
                "kept_epoch": int(kept_epoch(run)["epoch"]),
                "test_accuracy": kept_epoch(run)["test_accuracy"],
                **{
                    f"sharpness_{epsilon:g}": value
                    for epsilon, value in measured(run).itertuples(index=False)
                },
            }
        )
    table = pd.DataFrame(rows)
    cells = {split: len(run.open_store().rows(split)) for split in ("validation", "test")}
    return STUDY.finding(setup, judge(table, cells), table, pd.concat(curves))


def judge(table: pd.DataFrame, cells: dict[str, int]) -> list[Part]:
    """Hold the smallest batch against the largest.

    Args:
        table: batch_size, seed, fluctuation, changes (it is measured over), test_accuracy, and
            sharpness_<ε> for each ε.
        cells: of the validation and the test split.
    """
    sizes = table["batch_size"].min(), table["batch_size"].max()
    small, large = (table[table["batch_size"] == size].set_index("seed") for size in sizes)
    names = [f"batch {size}" for size in sizes]
    margin = log_ratio(FACTOR, 1)

    def against(column: str, form: str) -> str:
        told = (spoken(part[column], form) for part in (small, large))
        return " and ".join(f"{value} with {name}" for name, value in zip(names, told, strict=True))

    more = [
        log_ratio(few, many, floor=1 / cells["validation"])
        for few, many in zip(small["fluctuation"], large["fluctuation"], strict=True)
    ]
    parts = [
        Part(
            "the smaller batch fluctuates more",
            f"Validation accuracy changes from epoch to epoch with a standard deviation of "
            f"{against('fluctuation', '{:.4f}')}",
            decide(more, fluctuation_margin(table["changes"].min())),
        )
    ]
    for epsilon in EPSILONS:
        column = f"sharpness_{epsilon:g}"
        flatter = [
            log_ratio(many, few) for few, many in zip(small[column], large[column], strict=True)
        ]
        parts.append(
            Part(
                f"the smaller batch ends in a flatter minimum (ε = {epsilon:g})",
                f"Sharpness within ε = {epsilon:g} is {against(column, '{:.1f}')}, in percent",
                decide(flatter, margin),
            )
        )
    better = (small["test_accuracy"] - large["test_accuracy"]).tolist()
    parts.append(
        Part(
            "the smaller batch is better on the test",
            f"Test accuracy is {against('test_accuracy', '{:.3f}')}",
            decide(better, accuracy_margin(table["test_accuracy"], cells["test"])),
        )
    )
    return parts


def _complete_and_measured(run: Run, cells: int) -> pd.DataFrame:
    """Return the sharpnesses at the end of `run`, trained and measured where that is not done."""
    complete(run)
    return kept(run.folder / f"sharpness-{cells}.csv", partial(_sharpness, run, cells))


def _sharpness(run: Run, cells: int) -> pd.DataFrame:
    """Measure at the end of the training, over the loss that the training descends."""
    torch.set_num_threads(run.config.threads)
    sample = Sample(run, "train", cells)
    model = run.load_model("last").to(sample.device)
    weights = list(model.parameters())
    what = f"sharpness of {run.folder.name}"
    measured = [
        (epsilon, sharpness(weights, partial(loss_and_gradient, model, sample), epsilon))
        for epsilon in tracked(EPSILONS, what, len(EPSILONS), "boxes")
    ]
    return pd.DataFrame(measured, columns=["epsilon", "sharpness"])


STUDY = Study(
    name="batch-size",
    question="Is a small batch better, because it fluctuates more and ends in a flatter minimum?",
    claim="Small batch size is better on testing: it oscillates more severely, jumps out of sharp "
    "valleys, and so usually ends in flat minima.",
    conduct=conduct,
    usual=Defaults(models=("resnet18",), values=(16, 64)),
    quick=Defaults(
        models=("resnet18",), values=(16, 64), recipe="demo", overrides=("epochs=8",), sample=128
    ),
    varies="batch sizes",
)
