"""How far a number can be trusted: the bootstrap over subjects.

Cells of one subject are alike, so that new cells of old subjects say little about new subjects:
whole subjects are drawn, with replacement, within each class (Field and Welsh 2007). Plain
percentiles of such draws are too narrow when subjects are few; they are taken further out, by the
factor √(n / (n - 1)) and Student's t (the expanded percentile interval, Hesterberg 2015, The
American Statistician 69(4)).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Mapping[str, Floats]]
"""(B, N) weights of the cells → named values, (B,) each."""

DRAWS = 2000
LEVEL = 0.95
AT_ONCE = 2_000_000
"""Weights held at once: 16 MB."""

CLASS_OF = {"sensitivity": 1, "specificity": 0}
"""What depends on the subjects of one class alone; all else on both."""


@dataclass(frozen=True)
class Units:
    """What is drawn as a whole.

    Attributes:
        unit: (N,) each cell's unit, 0 … U - 1.
        stratum: (U,) the class of each unit's cells: 0 normal, 1 blast, 2 both. Draws keep the
            number of units of each.
        truth: (N,) each cell's class, True for a blast.
    """

    unit: NDArray[np.int64]
    stratum: NDArray[np.int64]
    truth: NDArray[np.bool_]

    @classmethod
    def of(cls, names: pd.Series, truth: NDArray[np.bool_]) -> "Units":
        """Return the units called `names`, (N,); a cell without a name is one of its own."""
        unit, named = pd.factorize(names)
        nameless = unit == -1
        unit[nameless] = len(named) + np.arange(nameless.sum())
        blast = pd.Series(truth).groupby(unit).mean().to_numpy()
        return cls(unit, np.where(blast == 0, 0, np.where(blast == 1, 1, 2)), truth)

    @classmethod
    def cells(cls, truth: NDArray[np.bool_]) -> "Units":
        """Return each cell as a unit of its own, as if cells were independent."""
        return cls(np.arange(len(truth)), truth.astype(np.int64), truth)

    def count(self, label: int) -> int:
        """Return how many units have cells of class `label`."""
        return int(np.isin(self.stratum, (label, 2)).sum())

    def draws(self, draws: int, seed: int, factor: float = 1.0) -> Iterator[Floats]:
        """Yield (B, N) weights, `draws` rows in all, each row one draw of the units.

        Args:
            draws: how many.
            seed: the same seed draws the same units, so that two models can be paired.
            factor: draw so many times the units there are: a study of another size.
        """
        random = np.random.default_rng(seed)
        most = max(1, AT_ONCE // len(self.unit))
        for start in range(0, draws, most):
            times = np.zeros((min(most, draws - start), len(self.stratum)))
            for stratum in np.unique(self.stratum):
                members = np.flatnonzero(self.stratum == stratum)
                drawn = (len(times), round(factor * len(members)))
                places = random.integers(len(members), size=drawn)
                places += len(members) * np.arange(len(times))[:, None]
                counts = np.bincount(places.ravel(), minlength=len(times) * len(members))
                times[:, members] = counts.reshape(len(times), len(members))
            yield times[:, self.unit]


@dataclass(frozen=True)
class Sample:
    """A statistic as it is, and as draws of the units find it: name → value, name → (draws,)."""

    value: dict[str, float]
    drawn: dict[str, Floats]


def sample(statistic: Statistic, units: Units, draws: int = DRAWS, seed: int = 0) -> Sample:
    """Return `statistic` of all cells, and of `draws` draws of the units."""
    one = statistic(np.ones((1, len(units.unit))))
    parts = [statistic(weights) for weights in units.draws(draws, seed)]
    return Sample(
        {name: float(value[0]) for name, value in one.items()},
        {name: np.concatenate([part[name] for part in parts]) for name in one},
    )


def interval(
    drawn: Floats, units: Units, name: str = "", level: float = LEVEL
) -> tuple[float, float]:
    """Return the expanded percentile interval of a statistic's draws; NaN where there is none.

    The number n of units is that of the class the statistic `name` depends on, by default of the
    rarer one. Draws in which the statistic is undefined are left out; with a single unit nothing
    can be said.
    """
    label = CLASS_OF.get(name)
    counts = [units.count(one) for one in ((0, 1) if label is None else (label,))]
    present = [count for count in counts if count]
    defined = drawn[np.isfinite(drawn)]
    if not present or min(present) < 2 or not len(defined):
        return np.nan, np.nan
    tail = float(stats.norm.sf(reach(min(present), level)))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def reach(n: int, level: float = LEVEL) -> float:
    """Return how many standard deviations an interval of `n` units, 2 or more, reaches out."""
    return float(np.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1))
