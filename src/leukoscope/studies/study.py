"""A study: what it asks, which claim of the original lab it judges, what it trains if not told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from leukoscope.cells.store import Store
from leukoscope.errors import BadInputError
from leukoscope.spreadsheet import write_csv
from leukoscope.studies.candidates import Candidates
from leukoscope.studies.crew import Crew, alone
from leukoscope.studies.finding import BEARING, OPENING, Finding, Part, Verdict, combined
from leukoscope.studies.runs import open_or_create
from leukoscope.training.run import Run, RunConfig


@dataclass(frozen=True)
class Defaults:
    """What a study trains unless it is told otherwise.

    Attributes:
        models: shallow to deep where there are several.
        values: what the study varies, for those that vary a number.
        recipe, overrides: as for `leukoscope.training.recipe.recipe`.
        sample: training cells that measurements are taken over.
    """

    models: tuple[str, ...]
    values: tuple[float, ...] = ()
    recipe: str = "lab"
    overrides: tuple[str, ...] = ()
    sample: int = 512


@dataclass(frozen=True)
class Setup:
    """One conduct of a study: where, on what, with what.

    Attributes:
        folder: of the study; its runs lie in ``runs/``.
        machine: device, precision and threads of each run.
        quick: measure on coarser grids as well.
        candidates: what the study of recipes holds against each other.
        crew: who trains.
    """

    store: Path
    folder: Path
    models: tuple[str, ...]
    values: tuple[float, ...]
    recipe: str
    overrides: tuple[str, ...]
    sample: int
    seeds: tuple[int, ...] = (0,)
    machine: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False
    candidates: Candidates | None = None
    crew: Crew = alone

    def config(
        self,
        seed: int,
        *,
        model: str | None = None,
        overrides: Sequence[str] = (),
        watch_test: bool = True,
        **settings: Any,
    ) -> RunConfig:
        """Return the configuration of one run.

        Args:
            seed: of its first weights and its order of cells.
            model: the first of `models` unless given.
            overrides: of the recipe, besides those of the study.
            watch_test: as of `RunConfig`.
            settings: other fields of `RunConfig`.

        Raises:
            BadInputError: no such store, model or recipe.
        """
        return RunConfig.plan(
            self.store,
            model or self.models[0],
            self.recipe,
            (*self.overrides, *overrides),
            seed=seed,
            watch_test=watch_test,
            **settings,
            **self.machine,
        )

    def folds(self) -> range:
        """Return the parts of the store's people, each of which may test.

        Raises:
            BadInputError: the store's people are not divided.
        """
        parts = Store.open(self.store).parts
        if not parts:
            raise BadInputError(
                f"the people of {self.store} are not divided into parts; "
                "prepare it with --split subject"
            )
        return range(parts)

    def run(self, name: str, seed: int, **what: Any) -> Run:
        """Return the run `name` of `seed`, begun unless it is there; `what` is as for `config`.

        Raises:
            BadInputError: it cannot be made, or its folder holds a run of another configuration.
        """
        config = self.config(seed, **what)
        return open_or_create(config, self.folder / "runs" / f"{name}-seed{seed}")

    def with_and_without_shortcuts(self, label: str = "") -> dict[tuple[int, str, bool], Run]:
        """Return a run of each seed, each of `models`, residual (True) and plain, as `run` does.

        Args:
            label: at the end of their names.
        """
        return {
            (seed, model, residual): self.run(
                f"{model}-{'residual' if residual else 'plain'}{label}",
                seed,
                model=model,
                model_options={} if residual else {"residual": False},
            )
            for seed, model, residual in product(self.seeds, self.models, (True, False))
        }

    def measured_on(self) -> str:
        """Say what the study stands on."""
        store = Store.open(self.store)
        size = store.info.preprocessing.size
        cells = (
            "phantom cells (which say nothing about patients)" if store.info.phantom else "cells"
        )
        seeds = "seed" if len(self.seeds) == 1 else "seeds"
        changed = f" with {', '.join(self.overrides)}" if self.overrides else ""
        recipe = "each candidate's recipe" if self.candidates else f"recipe {self.recipe}"
        said = (
            f"Measured with {', '.join(self.models)} under {recipe}{changed}, "
            f"{seeds} {', '.join(map(str, self.seeds))}, {size} × {size} pixels, "
            f"on {store.info.cells:,} {cells} prepared with the {store.info.division.split} split."
        )
        if len(self.seeds) == 1:
            said += " One seed: another training may differ."
        return said


@dataclass(frozen=True)
class Study:
    """A question and the way to its answer.

    Attributes:
        name: on the command line.
        question: in one sentence.
        claim: the original lab's answer, in its words.
        conduct: trains what is not yet trained, measures, judges.
        usual, quick: what it trains.
        varies: what `values` are, None: the study varies no number.
        networks: how many models it takes, None: any number.
        compares: whether it holds candidates against each other, and so needs some.
    """

    name: str
    question: str
    claim: str
    conduct: Callable[[Setup], Finding]
    usual: Defaults
    quick: Defaults
    varies: str | None = None
    networks: int | None = 1
    compares: bool = False

    def setup(
        self,
        store: Path,
        folder: Path,
        *,
        models: Sequence[str] = (),
        values: Sequence[float] = (),
        recipe: str | None = None,
        overrides: Sequence[str] = (),
        seeds: Sequence[int] = (0,),
        quick: bool = False,
        candidates: Candidates | None = None,
        **machine: Any,
    ) -> Setup:
        """Return the set-up of one conduct; what is not given is the study's own.

        Raises:
            BadInputError: models, values or candidates that this study cannot take, or lacks.
        """
        own = self.quick if quick else self.usual
        if values and not self.varies:
            raise BadInputError(f"study {self.name} varies no number: leave --values out")
        if len(values) == 1 or len(set(values)) < len(values):
            raise BadInputError(f"study {self.name} needs two {self.varies} or more, all different")
        if models and self.networks not in (None, len(models)):
            raise BadInputError(
                f"study {self.name} takes {self.networks} of --models, not {len(models)}"
            )
        if candidates and not self.compares:
            raise BadInputError(f"study {self.name} has no candidates: leave --candidates out")
        if self.compares and not candidates:
            raise BadInputError(f"study {self.name} needs --candidates, a YAML file of recipes")
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise BadInputError("--seeds: one or more from 0 on, all different")
        given = {_field(override) for override in overrides}
        usual = [override for override in own.overrides if _field(override) not in given]
        return Setup(
            store=store,
            folder=folder,
            models=tuple(models) or own.models,
            values=tuple(sorted(values or own.values)),
            recipe=recipe or own.recipe,
            overrides=(*usual, *overrides),
            sample=own.sample,
            seeds=tuple(seeds),
            machine=machine,
            quick=quick,
            candidates=candidates,
        )

    def finding(
        self,
        setup: Setup,
        parts: list[Part],
        table: pd.DataFrame,
        curves: pd.DataFrame,
        verdict: Verdict | None = None,
        remark: str = "",
    ) -> Finding:
        """Return what was found.

        Args:
            setup: of the conduct.
            parts: of the claim, judged.
            table: the numbers judged.
            curves: what the figure draws.
            verdict: that of all parts together unless the study has its own way.
            remark: what the parts do not say, a sentence.
        """
        verdict = verdict or combined([part.verdict for part in parts])
        told = [f"{part.measured}, which {BEARING[part.verdict]} {part.says}." for part in parts]
        sentences = [OPENING[verdict], *told, remark, setup.measured_on()]
        paragraph = " ".join(sentence for sentence in sentences if sentence)
        return Finding(
            self.name, self.question, self.claim, verdict, paragraph, parts, table, curves
        )


def _field(override: str) -> str:
    return override.partition("=")[0].strip()


def kept(path: Path, measure: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return the table at `path`; if there is none, make it by `measure` and keep it there."""
    if not path.exists():
        write_csv(measure(), path)
    return pd.read_csv(path)
