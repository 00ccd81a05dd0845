"""Which calls are left to a person: prediction sets that hold for cells of a new subject.

Class-conditional split conformal prediction (Sadinle, Lei, Wasserman 2019, Journal of the American
Statistical Association 114): a cell may be of a class if it looks no less like it than most cells
that are. The cells of one person are alike and say little about the next person's, so it is people
who are counted, each for as much as any other, with one more to come of whom nothing is known: for
a random cell of a new person, the set of classes holds the true one with the coverage asked for
(Lee, Barber, Willett 2023, arXiv:2306.06342). K people can promise no more than K / (K + 1).
What holds is a share of all cells of a class, those for review among them: it is not the accuracy
of the calls that remain.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from leukoscope.errors import BadInputError

Floats = NDArray[np.float64]

COVERAGES = tuple(percent / 100 for percent in range(50, 100))
"""That can be asked for; one between two of them is taken for the larger."""

USUAL = 0.85
"""The coverage where none is asked for, if there are people enough to promise it."""

EPSILON = 1e-9
"""What sums of weights may be off by."""


class Review(BaseModel):
    """How far from the cells of its class a cell may lie, for each of `COVERAGES`.

    Attributes:
        people: with cells of each class, 0 normal, 1 blast.
        limits: by class, the highest probability of the *other* class at which a cell may still be
            of it; 1: always.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: tuple[int, int]
    limits: tuple[list[float], list[float]]

    @classmethod
    def of(cls, probability: Floats, truth: NDArray[np.bool_], person: pd.Series) -> "Review":
        """Return the limits by cells that the model did not train on.

        Args:
            probability: (N,) of blast.
            truth: (N,) True for a blast.
            person: (N,) whose each cell is, none missing.
        """
        normal, blast = ~truth, truth
        return cls(
            people=(person[normal].nunique(), person[blast].nunique()),
            limits=(
                _limits(probability[normal], person[normal]).tolist(),
                _limits(1 - probability[blast], person[blast]).tolist(),
            ),
        )

    @classmethod
    def nothing(cls) -> "Review":
        """Return what can be said by cells of people whom the model trained on: nothing."""
        always = [1.0] * len(COVERAGES)
        return cls(people=(0, 0), limits=(always, always))

    @property
    def most(self) -> float:
        """The highest of `COVERAGES` that there are people enough to promise."""
        few = min(self.people)
        held = [coverage for coverage in COVERAGES if coverage <= few / (few + 1) + EPSILON]
        return max(held, default=0.0)

    def coverage(self, asked: float | None) -> float:
        """Return the coverage to use.

        Args:
            asked: None: `USUAL`, or as much as can be promised; 0: nothing is.

        Raises:
            BadInputError: more is asked for than can be promised, or less than `COVERAGES` hold.
        """
        if asked is None:
            return min(USUAL, self.most)
        if not self.most:
            raise BadInputError(
                "no coverage can be promised: the model was settled on cells of people whom it "
                "trained on, or of none"
            )
        if not COVERAGES[0] <= asked <= self.most:
            raise BadInputError(
                f"coverage {asked:g} cannot be promised: with {min(self.people)} people of a class "
                f"among those the model was settled on it is {COVERAGES[0]:g} to {self.most:g}"
            )
        return asked

    def certainty(self, probability: Floats) -> Floats:
        """Return up to which coverage the likelier class is the only one a cell may be of, (N,).

        0 where it is at none, NaN where there is no probability. A cell that at a low coverage may
        be of neither class counts as of the likelier one, which makes no set smaller.

        Args:
            probability: (N,) of blast.
        """
        blast = probability >= 0.5
        less_likely = np.where(blast, 1 - probability, probability)[:, None]
        normal_limits, blast_limits = np.array(self.limits)
        own = np.where(blast[:, None], blast_limits, normal_limits)
        other = np.where(blast[:, None], normal_limits, blast_limits)
        alone = (less_likely <= own) & (1 - less_likely > other)
        certain = (alone * np.array(COVERAGES)).max(axis=1)
        return np.asarray(np.where(np.isnan(probability), np.nan, certain))


def _limits(other: Floats, person: pd.Series) -> Floats:
    """Return the limits of one class for each of `COVERAGES`.

    Args:
        other: (N,) probability of the other class, of cells of this one.
        person: (N,) whose.
    """
    if not len(other):
        return np.ones(len(COVERAGES))
    order = np.argsort(other, kind="stable")
    weights = 1 / person.map(person.value_counts()).to_numpy() / (person.nunique() + 1)
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.array(COVERAGES) - EPSILON)
    return np.asarray(np.append(other[order], 1.0)[places])
