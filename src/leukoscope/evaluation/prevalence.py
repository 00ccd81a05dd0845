"""How common blasts are: what a network does not learn where classes are drawn alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from leukoscope.training.run import Run


@dataclass(frozen=True)
class Prevalence:
    """Shares of blasts.

    Attributes:
        cells: among the cells trained on, in (0, 1).
        drawn: among those drawn from them to train.
    """

    cells: float
    drawn: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Prevalence":
        """Return the mean shares over `runs`."""
        shares = []
        for run in runs:
            store = run.open_store()
            rows, _ = store.training_plan()
            alike = run.config.recipe.balance != "none"
            drawn = 0.5 if alike else store.labels[rows].mean()
            shares.append((store.labels[store.rows("train")].mean(), drawn))
        cells, drawn = np.mean(shares, axis=0).tolist()
        return cls(cells, drawn)

    @property
    def prior(self) -> float:
        """What the log-odds of a network lack: those of the cells less those of what was drawn.

        Saerens, Latinne, Decaestecker 2002, Neural Computation 14.
        """
        return float(logit(self.cells) - logit(self.drawn))
