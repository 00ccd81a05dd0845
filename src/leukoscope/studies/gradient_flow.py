"""Does the gradient vanish on its way through a deep network, and do shortcuts prevent it?

The lab: "When the model gets deeper, the vanishing gradient problem becomes more serious. ResNet
can use shortcuts to add gradients from shallow layers, making the current layer's gradient larger"
(its figure 12).

Measured at each layer of residual networks and of their plain twins, before the first step and
after every epoch of a short training. The claim is taken at its strongest place, the deepest
network, and needs two things: that the plain network's gradient shrinks on its way from the last
quarter of the layers to the first, and that the residual one's shrinks less. Both have to hold
before the training and after it; where the two moments disagree, nothing is decided.
"""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from leukoscope.spreadsheet import write_csv
from leukoscope.studies.finding import Finding, Part, Verdict, combined, decide, spoken
from leukoscope.studies.gradients import decades_towards_input, layer_norms
from leukoscope.studies.runs import complete
from leukoscope.studies.sample import Sample
from leukoscope.studies.study import Defaults, Setup, Study
from leukoscope.training.run import Run

DECADES = 0.5
"""By less than this, a factor of three, another seed might undo a ratio of norms."""


def conduct(setup: Setup) -> Finding:
    """Train each network, residual and plain, with each seed; measure as they learn, and judge."""
    # The gradients of a finished training cannot be measured on another sample.
    runs = setup.with_and_without_shortcuts(f"-{setup.sample}cells")
    setup.crew(partial(_train_and_look, cells=setup.sample), list(runs.values()))
    norms = pd.concat(
        [
            pd.read_csv(_norms(run)).assign(model=model, residual=residual, seed=seed)
            for (seed, model, residual), run in runs.items()
        ]
    )
    moments = ["model", "residual", "seed", "epoch"]
    table = pd.DataFrame(
        [
            {
                **dict(zip(moments, moment, strict=True)),
                "first_norm": layers["norm"].iloc[0],
                "last_norm": layers["norm"].iloc[-1],
                "decades_towards_input": decades_towards_input(layers),
            }
            for moment, layers in norms.groupby(moments, sort=False)
        ]
    )
    parts = judge(table, setup.models[-1])
    return STUDY.finding(setup, parts, table, norms, *agreed(parts))


def judge(table: pd.DataFrame, deepest: str) -> list[Part]:
    """Hold the residual network against the plain one, before the training and after it.

    Args:
        table: model, residual, seed, epoch (0: before the first step), decades_towards_input.
        deepest: the model judged.

    Returns:
        two parts a moment.
    """
    parts = []
    last = table["epoch"].max()
    judged = table[table["model"] == deepest].sort_values("seed")
    for epoch, when in ((0, "before the first step"), (last, f"after epoch {last}")):
        now = judged[judged["epoch"] == epoch]
        plain, residual = (
            now.loc[now["residual"] == kind, "decades_towards_input"].to_numpy(dtype=float)
            for kind in (False, True)
        )
        parts += [
            Part(
                f"the plain network's gradient shrinks towards the input {when}",
                f"In {deepest} {when} the first layers' gradient over the last ones' is "
                f"{_power(plain)} without shortcuts and {_power(residual)} with them",
                decade_verdict(-plain),
            ),
            Part(
                f"shortcuts make the first layers' share larger {when}",
                f"Shortcuts multiply that ratio by {_power(residual - plain)}",
                decade_verdict(residual - plain),
            ),
        ]
    return parts


def decade_verdict(decades: NDArray[np.float64]) -> Verdict:
    """Judge by powers of ten, one a seed."""
    return decide(decades, DECADES)


def agreed(parts: list[Part]) -> tuple[Verdict, str]:
    """Judge the claim by both moments' parts if they agree; otherwise remark on it."""
    before, after = (
        combined([p.verdict for p in parts[:2]]),
        combined([p.verdict for p in parts[2:]]),
    )
    if before == after:
        return before, ""
    return "undecided", (
        f"The two moments do not say the same: the claim is {before} before the training and "
        f"{after} after it."
    )


def _power(decades: NDArray[np.float64]) -> str:
    return f"10^{spoken(decades, '{:+.1f}')}"


def _norms(run: Run) -> Path:
    """Return where the norms at each layer after each epoch are kept, 0: before the first step."""
    return run.folder / "gradients.csv"


def _train_and_look(run: Run, cells: int) -> None:
    """Keep the norms of each epoch as it ends, so that a training that is stopped loses none."""
    path = _norms(run)
    torch.set_num_threads(run.config.threads)
    sample = Sample(run, "train", cells)

    def look(epoch: int, model: nn.Module) -> None:
        norms = layer_norms(model, sample).assign(epoch=epoch)
        if path.exists():
            earlier = pd.read_csv(path)
            norms = pd.concat([earlier[earlier["epoch"] != epoch], norms])
        write_csv(norms, path)

    if not path.exists():
        look(0, run.config.first_model().to(sample.device))
    complete(run, lambda row, model: look(int(row["epoch"]), model))


STUDY = Study(
    name="gradient-flow",
    question="Does the gradient vanish in a deep network, and do shortcuts prevent it?",
    claim="When the model gets deeper, the vanishing gradient problem becomes more serious; ResNet "
    "can use shortcuts to make the current layer's gradient larger.",
    conduct=conduct,
    usual=Defaults(
        models=("resnet18", "resnet34", "resnet50", "resnet152"),
        overrides=("epochs=3",),
        sample=256,
    ),
    quick=Defaults(
        models=("resnet18", "resnet34", "resnet50", "resnet152"),
        recipe="demo",
        overrides=("epochs=1",),
        sample=64,
    ),
    networks=None,
)
