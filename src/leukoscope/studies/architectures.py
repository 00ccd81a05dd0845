"""Several networks under one recipe, on one store, over seeds and folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from leukoscope import models
from leukoscope.cells.division import Division
from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.evaluation.evaluate import evaluate
from leukoscope.evaluation.pooled import estimates, pool
from leukoscope.evaluation.result import Estimate, Evaluation
from leukoscope.studies.crew import Crew, alone
from leukoscope.studies.runs import complete, open_or_create
from leukoscope.training.run import Run, RunConfig, runs_below


@dataclass(frozen=True)
class Network:
    """One architecture of a comparison: its name there, and its runs, one a fold and seed."""

    name: str
    runs: list[Run]

    @property
    def histories(self) -> list[pd.DataFrame]:
        """Each run's history."""
        return [run.history for run in self.runs]

    @cached_property
    def pools(self) -> dict[int, pd.DataFrame]:
        """By seed, the predictions of all folds' test cells."""
        return pool(self.runs)

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """Metrics of all folds together, the mean over seeds, with intervals over people."""
        return estimates(self.pools)


def plan(
    store: Path,
    names: Iterable[str],
    recipe: str,
    overrides: Sequence[str],
    seeds: Sequence[int],
    folds: int | None,
    **settings: Any,
) -> dict[Path, RunConfig]:
    """Return the runs of a comparison by their place in its folder, everything checked.

    Args:
        store: the store's folder.
        names: of the models.
        recipe: as for `RunConfig.plan`.
        overrides: likewise.
        seeds: each is a run of its own.
        folds: train as many times, each time with another part of the people for the test; None
            takes the division that the store was prepared with.
        settings: other fields of `RunConfig`.

    Raises:
        BadInputError: no such store, model or recipe, or the store has another number of parts.
    """
    divisions: Mapping[str, Division | None] = {"": None}
    if folds is not None:
        opened = Store.open(store)
        parts = opened.parts
        if folds != parts:
            raise BadInputError(
                f"{store} was prepared with {parts or 'no'} parts of the people, not {folds}; "
                f"for so many folds: leukoscope prepare … --split subject --folds {folds}"
            )
        own = opened.info.division
        divisions = {
            f"fold{fold}": own.model_copy(update={"split": "subject", "fold": fold})
            for fold in range(folds)
        }
    planned = {}
    for name in names:
        for fold, division in divisions.items():
            for seed in seeds:
                numbered = [fold] if fold else []
                if len(seeds) > 1:
                    numbered.append(f"seed{seed}")
                config = RunConfig.plan(
                    store,
                    name,
                    recipe,
                    overrides,
                    seed=seed,
                    division=division,
                    watch_test=True,
                    **settings,
                )
                planned[Path(name, "-".join(numbered))] = config
    return planned


def compare(planned: Mapping[Path, RunConfig], folder: Path, crew: Crew = alone) -> list[Network]:
    """Train what is `planned` below `folder` and evaluate it on validation and test.

    A finished run is kept as it is, an unfinished one goes on from its last checkpoint.

    Raises:
        BadInputError: a folder holds a run of another configuration.
    """
    runs = {place: open_or_create(config, folder / place) for place, config in planned.items()}
    crew(_complete_and_evaluate, list(runs.values()))
    return _networks(runs)


def _complete_and_evaluate(run: Run) -> None:
    complete(run)
    for split in ("validation", "test"):
        if not _evaluated(run, split):
            evaluate(run, split)


def _evaluated(run: Run, split: str) -> bool:
    """Tell whether `run` was evaluated, by this version."""
    try:
        Evaluation.read(run, split)
    except BadInputError:
        return False
    return True


def networks_of(folder: Path) -> list[Network]:
    """Return the networks in a comparison's folder, shallow ones first.

    Raises:
        BadInputError: there is none.
    """
    return _networks({run.folder.relative_to(folder): run for run in runs_below(folder)})


def _networks(runs: Mapping[Path, Run]) -> list[Network]:
    found: dict[str, list[Run]] = {}
    for place, run in runs.items():
        found.setdefault(place.parts[0], []).append(run)
    order = models.names()
    networks = [Network(name, together) for name, together in found.items()]
    return sorted(networks, key=lambda one: (order.index(one.runs[0].config.model), one.name))
