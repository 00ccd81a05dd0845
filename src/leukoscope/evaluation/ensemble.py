"""An ensemble: the folds of one network as one model, whose log-odds are averaged.

Each run trained on other people, all of them together on everyone. What each says of its own test
cells, each person called by a run new to them, settles temperature and operating points: by all
people, none of whom the run that called them trained on. An average of several is more certain of
what it says than one of them, so the temperature is rather too high than too low.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from leukoscope.errors import BadInputError
from leukoscope.evaluation.pooled import first_seed, pool
from leukoscope.evaluation.prevalence import Prevalence
from leukoscope.evaluation.result import Evaluation, Settled
from leukoscope.training.run import Run, runs_below


@dataclass(frozen=True)
class Ensemble:
    """Finished runs of one configuration but for fold and seed, each evaluated on its test."""

    folder: Path
    runs: list[Run]

    @classmethod
    def open(cls, folder: Path) -> "Ensemble":
        """Open the runs below `folder`, of a comparison of one network or of a network in it.

        Raises:
            BadInputError: there are none, they differ in more than fold and seed, or one was not
                evaluated on its test split.
        """
        runs = runs_below(folder)
        first, *others = runs
        alike = {"seed": first.config.seed, "division": first.config.division}
        if not all(
            first.config.same_work(other.config.model_copy(update=alike)) for other in others
        ):
            raise BadInputError(
                f"{folder} holds runs of several networks or recipes, no ensemble; name the folder "
                "of one network in it"
            )
        for run in runs:
            Evaluation.read(run, "test")
        return cls(folder, runs)

    @property
    def first_seed(self) -> list[Run]:
        """The runs of the first seed: a run a fold."""
        seed = min(run.config.seed for run in self.runs)
        return [run for run in self.runs if run.config.seed == seed]

    def settled(self) -> Settled:
        """Return temperature and operating points, fitted on the test cells of all folds."""
        pools = pool(self.runs)
        logits = pd.concat([cells["logit"] for cells in pools.values()], axis=1)
        cells = first_seed(pools).assign(logit=logits.mean(axis=1))
        return Settled.by(cells, Prevalence.of(self.runs), epoch=None)


def opened(folder: Path) -> Run | Ensemble:
    """Open the run in `folder`, or the runs below it as one ensemble.

    Raises:
        BadInputError: it is neither.
    """
    return Run.open(folder) if Run.exists(folder) else Ensemble.open(folder)


def runs_of(source: Run | Ensemble) -> list[Run]:
    """Return the runs of an ensemble, or the run."""
    return source.runs if isinstance(source, Ensemble) else [source]
