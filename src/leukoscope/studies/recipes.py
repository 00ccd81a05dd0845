"""Which recipe's calls hold for people whom the network never met?

Every candidate trains on the same people and is tested on the same people, each once, by a network
that neither trained nor chose on them; the folds are judged together. Beside that stands the
shifted column: trained on fold 0's people alone, tested on everyone else, where size and stain
mislead. What is achieved without a network stands in the same table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from leukoscope.cells.division import Division
from leukoscope.errors import BadInputError
from leukoscope.evaluation.baselines import BASELINES
from leukoscope.evaluation.evaluate import settle
from leukoscope.evaluation.judgement import Estimator
from leukoscope.evaluation.point import EVEN
from leukoscope.evaluation.pooled import averaged, first_seed, pool, scored, together
from leukoscope.studies.architectures import Network, compare
from leukoscope.studies.candidates import Candidate
from leukoscope.studies.finding import Finding, Part, Verdict
from leukoscope.studies.gains import gain, judged, with_limits
from leukoscope.studies.study import Defaults, Setup, Study
from leukoscope.studies.work import work
from leukoscope.training.run import Run, RunConfig

METRICS = ("auroc", "ece")

SIZE = "size only"
"""The baseline that candidates are held against, beside the first of them."""


@dataclass(frozen=True)
class Tried:
    """One candidate with its runs: a fold and seed each, or, shifted, a seed each."""

    name: str
    folds: list[Run]
    shifted: list[Run]

    @cached_property
    def pools(self) -> dict[int, pd.DataFrame]:
        """By seed, what the folds say of their test cells."""
        return pool(self.folds)

    @cached_property
    def shifted_pools(self) -> dict[int, pd.DataFrame]:
        """By seed, what the shifted runs say of theirs."""
        return pool(self.shifted)

    @cached_property
    def row(self) -> dict[str, object]:
        """What the table says of it; see `recipe_table`."""
        estimate = _estimator(self.pools)
        calls = [_called(self.folds, cells) for cells in self.pools.values()]
        aurocs = [_auroc(cells) for cells in self.pools.values()]
        runs = [_auroc(first_seed(pool([run]))) for run in self.folds]
        row: dict[str, object] = {
            "candidate": self.name,
            "runs": len(self.folds) + len(self.shifted),
            **with_limits("auroc", estimate("auroc")),
            "auroc_sd": float(np.std(aurocs, ddof=1)) if len(aurocs) > 1 else np.nan,
            "worst_fold_auroc": min(runs),
            "balanced_accuracy": np.mean([_balanced(cells) for cells in calls]),
            "normal_people": np.mean([_over_people(cells, 0) for cells in calls]),
            "blast_people": np.mean([_over_people(cells, 1) for cells in calls]),
            "ece": estimate("ece").value,
        }
        if len(aurocs) > 1:
            cells = _called(self.folds, together(self.pools))
            all_seeds = _estimator({0: cells})
            row |= with_limits("ensemble_auroc", all_seeds("auroc"))
            row["ensemble_ece"] = all_seeds("ece").value
            row["ensemble_balanced_accuracy"] = _balanced(cells)
            row["ensemble_normal_people"] = _over_people(cells, 0)
            row["ensemble_blast_people"] = _over_people(cells, 1)
        if self.shifted:
            row |= with_limits("shifted_auroc", _estimator(self.shifted_pools)("auroc"))
        hours = sum(run.history["seconds"].sum() for run in (*self.folds, *self.shifted)) / 3600
        return row | {"hours": hours}


def conduct(setup: Setup) -> Finding:
    """Train every candidate on every fold, and judge each against the first.

    Raises:
        BadInputError: stores of other cells, or runs of another configuration.
    """
    asked = setup.candidates
    assert asked, "no set-up of this study is without them"
    places = {f"fold{fold}": Division(fold=fold) for fold in asked.folds or setup.folds()}
    if asked.shifted:
        places["shifted"] = Division(split="shifted")
    planned = {
        name: {
            Path(f"{place}-seed{seed}"): _config(setup, candidate, seed, division)
            for seed in setup.seeds
            for place, division in places.items()
        }
        for name, candidate in asked.candidates.items()
    }
    networks = compare(
        {
            Path(name, place): config
            for name, configs in planned.items()
            for place, config in configs.items()
        },
        setup.folder / "runs",
        setup.crew,
    )
    by_name = {network.name: network for network in networks}
    tried = [_tried(by_name[name]) for name in planned]
    table = recipe_table(tried)
    first, *others = tried
    found = [judge(first, other) for other in others]
    drawn = table[["candidate", "auroc", "auroc_low", "auroc_high"]]
    return STUDY.finding(setup, found, table, drawn, verdict=_best(table, found))


def recipe_table(tried: Sequence[Tried]) -> pd.DataFrame:
    """Return one row a candidate, then one a baseline on the first candidate's splits.

    Columns: candidate, runs; of all folds' test cells together auroc with auroc_low and auroc_high
    over people, auroc_sd over seeds, the lowest fold's auroc, balanced_accuracy at the share of
    blasts among the training cells, the mean accuracy there over people with normal cells and with
    blasts, ece; with several seeds the same of their average, ensemble_…; shifted_auroc; hours of
    training; gain, the AUROC less the first candidate's, and size_gain, less that of the size of
    the cell alone, both also shifted_…, with limits from draws of the same people; work, see
    `leukoscope.studies.work`, against the first candidate.
    """
    first = tried[0]
    rows = [one.row | _gains(first, one) | {"work": work(first.folds, one.folds)} for one in tried]
    return pd.DataFrame([*rows, *_baselines(first)])


def judge(first: Tried, other: Tried) -> Part:
    """Hold `other` against `first`, on the same people.

    Raises:
        BadInputError: they were tested on other cells.
    """
    ids = [first_seed(one.pools)["id"] for one in (first, other)]
    if not ids[0].equals(ids[1]):
        raise BadInputError(f"{first.name} and {other.name} were tested on different cells")
    rows = [one.row for one in (first, other)]
    return judged(
        f"{other.name} calls new people better than {first.name}",
        f"Over all folds the AUROC is {rows[1]['auroc']:.3f} by {other.name} and "
        f"{rows[0]['auroc']:.3f} by {first.name}",
        gain(first.pools, other.pools),
    )


def _config(setup: Setup, candidate: Candidate, seed: int, division: Division) -> RunConfig:
    return RunConfig.plan(
        candidate.store or setup.store,
        setup.models[0],
        candidate.recipe or setup.recipe,
        (*candidate.told, *setup.overrides),
        model_options=dict(candidate.model_options),
        seed=seed,
        division=division,
        watch_test=False,
        **setup.machine,
    )


def _tried(network: Network) -> Tried:
    kinds: dict[bool, list[Run]] = {True: [], False: []}
    for run in network.runs:
        assert run.config.division, "each run of this study has its own"
        kinds[run.config.division.split == "shifted"].append(run)
    return Tried(network.name, kinds[False], kinds[True])


def _gains(first: Tried, other: Tried) -> dict[str, object]:
    """Return what `other` gains in AUROC over `first`, if it is another, and over size alone."""
    row: dict[str, object] = {}
    tests = {"": (first.pools, other.pools)}
    if first.shifted and other.shifted:
        tests["shifted_"] = (first.shifted_pools, other.shifted_pools)
    for name, (before, after) in tests.items():
        if other is not first:
            row |= with_limits(f"{name}gain", gain(before, after))
        cells = first_seed(after)
        size = {0: cells.assign(calibrated=cells[SIZE])}
        row |= with_limits(f"{name}size_gain", gain(size, after))
    return row


def _called(runs: Sequence[Run], cells: pd.DataFrame, column: str = "calibrated") -> pd.DataFrame:
    """Return `cells` with ``right``: called so at their own run's share of blasts in training."""
    thresholds = np.array([settle(run).point(EVEN).threshold for run in runs])
    blast = cells[column].to_numpy() >= thresholds[cells["run"].to_numpy()]
    return cells.assign(right=blast == cells["label"].eq(1).to_numpy())


def _balanced(cells: pd.DataFrame) -> float:
    return float(cells.groupby("label")["right"].mean().mean())


def _over_people(cells: pd.DataFrame, label: int) -> float:
    return float(cells[cells["label"] == label].groupby("person")["right"].mean().mean())


def _auroc(cells: pd.DataFrame) -> float:
    return float(roc_auc_score(cells["label"], cells["calibrated"]))


def _estimator(pools: dict[int, pd.DataFrame]) -> Estimator:
    seeds, units = scored(pools)
    return Estimator(averaged(seeds, METRICS), units)


def _baselines(tried: Tried) -> list[dict[str, object]]:
    """Return a row a baseline: what it says of the first seed's test cells."""
    found = [first_seed(tried.pools)]
    if tried.shifted:
        found.append(first_seed(tried.shifted_pools))
    rows = []
    for name in BASELINES:
        row: dict[str, object] = {"candidate": name, "runs": 0}
        for title, cells in zip(("auroc", "shifted_auroc"), found, strict=False):
            estimate = _estimator({0: cells.assign(calibrated=cells[name])})
            row |= with_limits(title, estimate("auroc"))
        called = _called(tried.folds, found[0], name)
        row |= {
            "balanced_accuracy": _balanced(called),
            "normal_people": _over_people(called, 0),
            "blast_people": _over_people(called, 1),
        }
        rows.append(row)
    return rows


def _best(table: pd.DataFrame, parts: Sequence[Part]) -> Verdict:
    """Return what was found of the candidate with the highest AUROC, the reference left out."""
    return parts[int(table["auroc"].iloc[1 : len(parts) + 1].to_numpy().argmax())].verdict


STUDY = Study(
    name="recipe",
    question="Which recipe's calls hold for people whom the network never met?",
    claim="The best of the candidates calls new people better than the first of them.",
    conduct=conduct,
    usual=Defaults(models=("resnet18",)),
    quick=Defaults(models=("resnet18",), overrides=("epochs=3",)),
    compares=True,
)
