"""How much of an accuracy is lost on people whom the network has never met?

The lab divided pictures, not people, so cells of one smear stood on both sides; and turned copies
of its validation pictures were trained on, "in order for the model to learn how to distinguish the
validation dataset". Its 0.96 is taken for what the network achieves.

One model and one recipe under three protocols, on the same cells:

- ``people``: whole people train, choose and test; every part of them tests once, so that all
  people are tested by networks that never met them,
- ``pictures``: the lab's division of pictures, with turns drawn anew each epoch as above,
- ``lab``: the same division with the lab's plan of turned copies, validation's among them.

The inflation is an accuracy less the one that it should equal: a protocol needs none. Its interval
comes from a bootstrap over people, who are drawn once for both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from leukoscope.cells.division import Division
from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.judgement import Estimator
from leukoscope.evaluation.metrics import Floats
from leukoscope.evaluation.pooled import averaged, estimates, first_seed, pool, scored
from leukoscope.evaluation.result import Estimate
from leukoscope.studies.architectures import compare
from leukoscope.studies.finding import Finding, Part, Verdict
from leukoscope.studies.gains import Pools
from leukoscope.studies.study import Defaults, Setup, Study

METRICS = ("accuracy", "balanced_accuracy", "auroc")

NEGLIGIBLE = 0.02
"""An inflation of accuracy below this would mislead nobody."""


@dataclass(frozen=True)
class Inflation:
    """What an accuracy claims beyond what it should equal.

    Attributes:
        of, beyond: protocol and split of the two accuracies.
        claimed, true: the two, as they are.
        metrics: the difference in each of `METRICS`.
    """

    of: tuple[str, str]
    beyond: tuple[str, str]
    claimed: float
    true: float
    metrics: dict[str, Estimate]

    @property
    def fair(self) -> Verdict:
        """Whether the accuracy can be taken for the other."""
        found = self.metrics["accuracy"]
        if found.low is None or found.high is None:
            return "undecided"
        if found.high < NEGLIGIBLE:
            return "supported"
        return "contradicted" if found.low > 0 else "undecided"

    def told(self) -> str:
        """Say the difference with its interval."""
        found = self.metrics["accuracy"]
        if found.value is None or found.low is None or found.high is None:
            return "of so few people nothing can be said"
        return f"{found.value:+.3f} (95 % over people {found.low:+.3f} to {found.high:+.3f})"


def conduct(setup: Setup) -> Finding:
    """Train under each protocol with each seed; pool the folds, and judge."""
    divisions = {f"people/fold{fold}-": Division(fold=fold) for fold in setup.folds()} | {
        "pictures/": Division(split="lab"),
        "lab/": Division(split="lab", plan="lab", validation_copies=True),
    }
    planned = {
        Path(f"{place}seed{seed}"): setup.config(seed, division=division)
        for seed in setup.seeds
        for place, division in divisions.items()
    }
    networks = compare(planned, setup.folder / "runs", setup.crew)
    pools = {
        (network.name, split): pool(network.runs, split)
        for network, split in product(networks, ("validation", "test"))
    }
    found = [
        inflation(pools, ("pictures", "test"), ("people", "test")),
        inflation(pools, ("lab", "test"), ("people", "test")),
        inflation(pools, ("lab", "validation"), ("lab", "test")),
    ]
    blasts = first_seed(pools["people", "test"])["label"].mean()
    remark = f"To call all cells alike would be right for {max(blasts, 1 - blasts):.3f} of them."
    return STUDY.finding(
        setup, judge(*found), _table(found), _accuracies(pools, blasts), remark=remark
    )


def inflation(
    pools: dict[tuple[str, str], Pools], of: tuple[str, str], beyond: tuple[str, str]
) -> Inflation:
    """Return what the accuracy `of` a protocol's split claims beyond that of another."""
    (here, _), (there, _) = scored(pools[of]), scored(pools[beyond])
    count = len(here[0].truth)
    one, other = averaged(here, METRICS), averaged(there, METRICS)

    def sides(weights: Floats) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
        return one(weights[:, :count]), other(weights[:, count:])

    def statistic(weights: Floats) -> dict[str, Floats]:
        claimed, true = sides(weights)
        return {metric: claimed[metric] - true[metric] for metric in METRICS}

    both = pd.concat([first_seed(pools[side]) for side in (of, beyond)])
    units = Units.of(both["person"], both["label"].eq(1).to_numpy(dtype=bool))
    estimate = Estimator(statistic, units)
    claimed, true = (float(side["accuracy"][0]) for side in sides(np.ones((1, len(both)))))
    return Inflation(of, beyond, claimed, true, {metric: estimate(metric) for metric in METRICS})


def judge(pictures: Inflation, lab: Inflation, copies: Inflation) -> list[Part]:
    """Judge both halves of the protocol.

    Args:
        pictures: test pictures of the people trained on, beyond new people.
        lab: the same with the lab's plan.
        copies: the lab's validation, whose copies are trained on, beyond its test.
    """
    return [
        Part(
            "other pictures of the people trained on tell how new people are called",
            f"Test accuracy is {pictures.claimed:.3f} on pictures of the people trained on "
            f"and {pictures.true:.3f} on new people, a difference of {pictures.told()}",
            pictures.fair,
        ),
        Part(
            "the lab's own protocol tells how new people are called",
            f"With the lab's plan of copies test accuracy is {lab.claimed:.3f}, which is "
            f"{lab.told()} beyond new people",
            lab.fair,
        ),
        Part(
            "validation is a fair judge when copies of its pictures are trained on",
            f"With those copies validation accuracy is {copies.claimed:.3f}, which is "
            f"{copies.told()} beyond the test of the same network",
            copies.fair,
        ),
    ]


def _table(found: Sequence[Inflation]) -> pd.DataFrame:
    """Return a row an inflation and metric: of, beyond, metric, inflation, low, high."""
    return pd.DataFrame(
        [
            {
                "of": " ".join(one.of),
                "beyond": " ".join(one.beyond),
                "metric": metric,
                "inflation": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
            }
            for one in found
            for metric, estimate in one.metrics.items()
        ]
    )


def _accuracies(pools: dict[tuple[str, str], Pools], blasts: float) -> pd.DataFrame:
    """Return a row a protocol, split and metric: cells, people, value, low, high, alike.

    ``alike`` is the accuracy of calling all cells alike.
    """
    rows = []
    for (protocol, split), seeds in pools.items():
        cells = first_seed(seeds)
        for metric, estimate in estimates(seeds).items():
            if metric in METRICS:
                rows.append(
                    {
                        "protocol": protocol,
                        "split": split,
                        "metric": metric,
                        "cells": len(cells),
                        "people": cells["person"].nunique(),
                        "value": estimate.value,
                        "low": estimate.low,
                        "high": estimate.high,
                        "alike": max(blasts, 1 - blasts),
                    }
                )
    return pd.DataFrame(rows)


STUDY = Study(
    name="leakage",
    question="How much of an accuracy is lost on people whom the network has never met?",
    claim="A test split of pictures, and validation pictures whose turned copies are trained on, "
    "tell how good the network is.",
    conduct=conduct,
    usual=Defaults(models=("resnet18",)),
    quick=Defaults(models=("resnet18",), recipe="demo", overrides=("epochs=4",)),
)
