"""Do training and validation loss have their minima at different weights?

The lab: "the validation accuracy is continuously fluctuating. I think it's because the loss of
training data and validation data is different since the data distribution is different. The
following figure 9 in [2] explains what I'm saying": two curves over the weights, one beside the
other.

Measured along lines through the weights at the end of a training: in random directions (a step of
1 is as long as the weights), from the first weights to the last, and from the best epoch's to the
last (a step of 1 is the whole way). Batch norm's running statistics belong to the weights they
were gathered with, so they are estimated anew from the same training cells at every point; as they
were saved, they would lift both losses with every step off the training's own path.

A line shows two minima when the 95 % interval of their distance (see `loss_line.displacement`)
leaves zero out and the distance is at least `NEAR`; one, when the whole interval is smaller than
that. A line on which a minimum lies at an end says nothing. The claim is judged by the majority of
lines.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from leukoscope.progress import Bar
from leukoscope.studies.finding import Finding, Part, Verdict
from leukoscope.studies.histories import kept_epoch
from leukoscope.studies.loss_line import Losses, along, displacement, random_direction
from leukoscope.studies.runs import complete
from leukoscope.studies.sample import Sample, cell_losses
from leukoscope.studies.study import Defaults, Setup, Study, kept
from leukoscope.training.run import Run

NEAR = 0.05
"""Of a line's unit: minima closer than this are one."""

RANDOM_REACH, PATH_REACH = 0.5, 1.5
"""How far random lines and those between two epochs go, either way; -1 is the earlier epoch."""

USUAL, QUICK = (5, 21), (3, 11)
"""Random directions, and points on each line."""

SAVED = "as saved"
"""In place of a line's name: at the last weights, with batch norm's statistics as saved."""


def conduct(setup: Setup) -> Finding:
    """Train with each seed, measure along lines through the last weights, and judge."""
    runs = {seed: setup.run(setup.models[0], seed) for seed in setup.seeds}
    grid = QUICK if setup.quick else USUAL
    losses = partial(_complete_and_measured, cells=setup.sample, grid=grid)
    setup.crew(losses, list(runs.values()))
    rows, curves = [], []
    for seed, run in runs.items():
        measured = losses(run)
        saved = _mean_losses(measured[measured["line"] == SAVED]).iloc[0]
        for line, part in measured[measured["line"] != SAVED].groupby("line", sort=False):
            mean = _mean_losses(part)
            curves.append(mean.reset_index().assign(line=line, seed=seed))
            rows.append(
                {
                    "line": line,
                    "seed": seed,
                    **_apart(part),
                    "train_loss": mean.loc[0, "train"],
                    "validation_loss": mean.loc[0, "validation"],
                    "saved_train_loss": saved["train"],
                    "saved_validation_loss": saved["validation"],
                }
            )
    table = pd.DataFrame(rows)
    return STUDY.finding(setup, [judge(table)], table, pd.concat(curves))


def judge(table: pd.DataFrame) -> Part:
    """Count the lines with two minima and with one.

    Args:
        table: a row a line, with displacement, low, high (its 95 % interval), inside, train_loss,
            validation_loss, saved_validation_loss.
    """
    size, low, high = (table[name] for name in ("displacement", "low", "high"))
    inside = table["inside"]
    two = inside & ((low > 0) | (high < 0)) & (size.abs() >= NEAR)
    one = inside & (low > -NEAR) & (high < NEAR)
    half = len(table) / 2
    verdict: Verdict = "undecided"
    if two.sum() > half:
        verdict = "supported"
    elif one.sum() > half:
        verdict = "contradicted"
    told = (
        f"Of {len(table)} lines through the last weights {two.sum()} show two minima, {one.sum()} "
        f"a single one and {len(table) - two.sum() - one.sum()} neither for sure; the minima lie "
        f"{size[inside].abs().median():.3f} apart by the median, in units of a line. At those "
        f"weights the training loss is {table['train_loss'].mean():.3f} and the validation loss "
        f"{table['validation_loss'].mean():.3f}, or {table['saved_validation_loss'].mean():.3f} "
        "by the running statistics that batch norm had saved"
    )
    return Part("validation loss has its minimum elsewhere than training loss", told, verdict)


def _apart(part: pd.DataFrame) -> dict[str, float | bool]:
    """Return how far apart the minima on one line lie."""
    losses = {}
    for split, each in part.groupby("split"):
        values = each.pivot(index="step", columns="subject", values="loss")
        cells = each.groupby("subject")["cells"].first()
        losses[split] = Losses(values.to_numpy(), cells.to_numpy())
    found = displacement(values.index.to_numpy(), losses["train"], losses["validation"])
    return {
        "train_minimum": found.train,
        "validation_minimum": found.validation,
        "displacement": found.size,
        "low": found.low,
        "high": found.high,
        "inside": found.inside,
    }


def _mean_losses(part: pd.DataFrame) -> pd.DataFrame:
    """Return columns train and validation by step, over cells."""
    total = (part["loss"] * part["cells"]).groupby([part["step"], part["split"]]).sum()
    cells = part.groupby(["step", "split"])["cells"].sum()
    return (total / cells).unstack("split")


def _complete_and_measured(run: Run, cells: int, grid: tuple[int, int]) -> pd.DataFrame:
    """Return the losses along lines through the end of `run`, see `_losses_by_subject`; it is
    trained and measured where that is not done.
    """
    complete(run)
    directions, points = grid
    return kept(
        run.folder / f"lines-{cells}-{directions}x{points}.csv",
        partial(_losses_by_subject, run, cells, directions, points),
    )


def _losses_by_subject(run: Run, cells: int, directions: int, points: int) -> pd.DataFrame:
    """Return line, step, split, subject, cells, loss: the mean over each subject's cells."""
    torch.set_num_threads(run.config.threads)
    training, validation = Sample(run, "train", cells), Sample(run, "validation")
    model = run.load_model("last").to(training.device)
    weights = list(model.parameters())

    def losses() -> pd.DataFrame:
        tables = []
        for split, sample in (("train", training), ("validation", validation)):
            by = pd.Series(cell_losses(model, sample)).groupby(sample.subjects)
            tables.append(by.agg(cells="size", loss="mean").rename_axis("subject").reset_index())
            tables[-1].insert(0, "split", split)
        return pd.concat(tables)

    def losses_with_new_norms() -> pd.DataFrame:
        update_bn(training, model)
        bar.advance()
        return losses()

    measured = [losses().assign(line=SAVED, step=0.0)]
    lines = list(_lines(run, weights, directions))
    with Bar(f"{run.folder.name} along lines", len(lines) * points, "points") as bar:
        for line, direction, reach in lines:
            steps = np.linspace(-reach, reach, points).round(6)
            along_it = along(weights, direction, steps.tolist(), losses_with_new_norms)
            measured += [
                table.assign(line=line, step=step)
                for step, table in zip(steps, along_it, strict=True)
            ]
    return pd.concat(measured)


def _lines(
    run: Run, weights: list[nn.Parameter], directions: int
) -> Iterator[tuple[str, list[Tensor], float]]:
    """Yield name, direction and reach of each line through `weights`, the last ones of `run`."""
    for number in range(directions):
        yield f"random {number + 1}", random_direction(weights, number), RANDOM_REACH
    earlier = {"first": run.config.first_model()}
    if kept_epoch(run)["epoch"] != run.history["epoch"].iloc[-1]:
        earlier["best"] = run.load_model("best")
    for name, model in earlier.items():
        then = [weight.detach().to(weights[0].device) for weight in model.parameters()]
        way = [(now - before).detach() for now, before in zip(weights, then, strict=True)]
        yield f"{name} to last", way, PATH_REACH


STUDY = Study(
    name="validation-gap",
    question="Do training and validation loss have their minima at different weights?",
    claim="The validation accuracy fluctuates because the loss of training data and validation "
    "data is different: their curves over the weights lie beside each other (figure 9).",
    conduct=conduct,
    usual=Defaults(models=("resnet18",), sample=512),
    quick=Defaults(models=("resnet18",), recipe="demo", overrides=("epochs=6",), sample=256),
)
