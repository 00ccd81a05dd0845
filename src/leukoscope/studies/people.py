"""Are people what is lacking?

The lab: "ResNet is a large architecture, and I think the original training data was too limited."
It made more pictures of the same people, by turning them.

A network is trained on a share of the people and on all of them, every part of the store's people
testing once; beside that on all people, with the same share of each one's cells. All make as many
steps. People are lacking if the last ones added still make the calls of new people better, and
if fewer people cost more than fewer cells of each.
"""

from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from leukoscope.cells.division import Division
from leukoscope.cells.store import Store
from leukoscope.cells.subset import Subset
from leukoscope.errors import BadInputError
from leukoscope.evaluation.result import Estimate
from leukoscope.studies.architectures import Network, compare
from leukoscope.studies.finding import Finding, Part
from leukoscope.studies.gains import gain, judged, with_limits
from leukoscope.studies.study import Defaults, Setup, Study
from leukoscope.training.recipe import recipe
from leukoscope.training.run import RunConfig

Trained = tuple[Literal["people", "cells"], float]
"""What there is a share of, and the share."""


def conduct(setup: Setup) -> Finding:
    """Train on each share of the people, and of each one's cells, with each seed; judge.

    Raises:
        BadInputError: `Setup.values` are no shares up to 1, or the store's people are not divided.
    """
    *shares, whole = setup.values
    if whole != 1 or shares[0] <= 0:
        raise BadInputError("study people needs shares of the people above 0, the highest 1")
    every: Trained = ("people", whole)
    trained: list[Trained] = [("people", share) for share in setup.values]
    trained += [("cells", share) for share in shares]
    planned = {
        Path(_name(one), f"fold{fold}-seed{seed}"): _config(setup, one, seed, fold)
        for seed, fold, one in product(setup.seeds, setup.folds(), trained)
    }
    found = {one.name: one for one in compare(planned, setup.folder / "runs", setup.crew)}
    networks = {one: found[_name(one)] for one in trained}
    rows = [
        {
            "of": of,
            "share": share,
            **_trained_on(network),
            **with_limits("auroc", network.estimates["auroc"]),
            **with_limits("gain", gain(network.pools, networks[every].pools)),
        }
        for (of, share), network in networks.items()
    ]
    table = pd.DataFrame(rows)
    pools = {one: network.pools for one, network in networks.items()}
    fewer, thinner = pools["people", shares[-1]], pools["cells", shares[-1]]
    parts = judge(table, gain(fewer, pools[every]), gain(fewer, thinner))
    return STUDY.finding(setup, parts, table, table)


def judge(table: pd.DataFrame, by_people: Estimate, by_cells: Estimate) -> list[Part]:
    """Hold all people against fewer, and fewer against fewer cells of each.

    Args:
        table: of, share, people (trained on) and auroc.
        by_people: what all people gain over the largest share below.
        by_cells: what all people with that share of each one's cells gain over it.
    """
    share = table.loc[table["share"] < 1, "share"].max()

    def told(of: str, share: float) -> str:
        row = table[(table["of"] == of) & (table["share"] == share)].iloc[0]
        return f"{row['auroc']:.3f} with {row['people']:.0f} people"

    return [
        judged(
            "more people make the calls of new people better",
            f"AUROC is {told('people', 1)} to train on and {told('people', share)}",
            by_people,
        ),
        judged(
            "fewer people cost more than fewer cells of each",
            f"It is {told('cells', share)} and {100 * share:g} % of each one's cells",
            by_cells,
        ),
    ]


def _name(trained: Trained) -> str:
    of, share = trained
    return f"{of}{share:g}"


def _config(setup: Setup, trained: Trained, seed: int, fold: int) -> RunConfig:
    """Return a run that makes about as many steps as on all cells."""
    of, share = trained
    subset = Subset(of=of, share=share, seed=seed) if share < 1 else None
    divisions = Division(fold=fold), Division(fold=fold, subset=subset)
    store, own = Store.open(setup.store), recipe(setup.recipe, setup.overrides)
    all_cells, cells = (
        int(one.divide(store.cells, store.info.seed).eq("train").sum()) for one in divisions
    )
    longer = all_cells / cells
    overrides = [f"epochs={round(own.epochs * longer)}", f"warmup={own.warmup * longer}"]
    return setup.config(seed, division=divisions[1], overrides=overrides, watch_test=False)


def _trained_on(network: Network) -> dict[str, object]:
    """Return how many people and cells a network was trained on, the mean over its runs."""
    each = [
        store.cells.iloc[store.rows("train")]
        for store in (run.open_store() for run in network.runs)
    ]
    return {
        "people": np.mean([cells["person"].nunique() for cells in each]),
        "cells": np.mean([len(cells) for cells in each]),
    }


STUDY = Study(
    name="people",
    question="Are people to train on what is lacking?",
    claim="People to train on are lacking, not more cells of the same people.",
    conduct=conduct,
    usual=Defaults(models=("resnet18",), values=(0.25, 0.5, 1)),
    quick=Defaults(models=("resnet18",), values=(0.5, 1), recipe="demo", overrides=("epochs=4",)),
    varies="shares of the people",
)
