"""What an evaluation says, and the files in the run folder that keep it.

With ``<cells>`` as ``test`` or ``external-<name>``:

- ``settled-<checkpoint>.json``: what validation decided for those weights, `Settled`,
- ``predictions-<cells>.parquet``: a row a cell, see `leukoscope.evaluation.predictions`,
- ``subjects-<cells>.csv``: a row a subject, see `leukoscope.evaluation.subjects`,
- ``metrics-<cells>.json``: an `Evaluation`.

Those of the last epoch's weights, instead of the best one's, end in ``-last``.
"""

from pathlib import Path
from typing import Protocol, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from leukoscope.errors import BadInputError
from leukoscope.evaluation.bootstrap import Units
from leukoscope.evaluation.calibration import fit_temperature, probability
from leukoscope.evaluation.metrics import Scored
from leukoscope.evaluation.operating import curve, operating_points
from leukoscope.evaluation.point import OperatingPoint
from leukoscope.evaluation.prevalence import Prevalence
from leukoscope.evaluation.review import Review
from leukoscope.evaluation.shift import Shift
from leukoscope.files import write_text
from leukoscope.spreadsheet import as_given
from leukoscope.training.run import Run, Which


class Judged(Protocol):
    """What can be judged, a run or an ensemble; the results are kept in its folder."""

    @property
    def folder(self) -> Path:
        """Where it lies."""


class Result(BaseModel):
    """What the results below share: they are kept as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def write(self, path: Path) -> Self:
        """Replace the file at `path`."""
        write_text(path, self.model_dump_json(indent=2) + "\n")
        return self


class Settled(Result):
    """What cells that a model did not train on decided for it.

    Attributes:
        epoch: of the weights; None: those of several runs.
        temperature: see `leukoscope.evaluation.calibration`.
        prior: likewise.
        points: see `leukoscope.evaluation.operating`.
        curve: likewise.
        review: which calls are left to a person.
    """

    epoch: int | None
    temperature: float
    prior: float
    points: list[OperatingPoint]
    curve: list[OperatingPoint]
    review: Review

    @classmethod
    def by(
        cls, cells: pd.DataFrame, prevalence: Prevalence, epoch: int | None, new: bool = True
    ) -> Self:
        """Return what `cells` decide.

        Args:
            cells: with ``logit``, ``label`` and ``person``, of both classes.
            prevalence: of the training cells.
            epoch: of the weights.
            new: whether the people are others than those trained on: only then can it be promised
                how calls do on new people.
        """
        logit, truth = cells["logit"].to_numpy(), cells["label"].eq(1).to_numpy(dtype=bool)
        prior = prevalence.prior
        temperature = fit_temperature(logit, truth, prior)
        scored = Scored(truth, probability(logit, temperature, prior))
        units = Units.of(cells["person"], truth)
        return cls(
            epoch=epoch,
            temperature=temperature,
            prior=prior,
            points=operating_points(scored, units, prevalence.cells),
            curve=curve(scored, units),
            review=Review.of(scored.probability, truth, pd.Series(units.unit))
            if new
            else Review.nothing(),
        )

    def point(self, name: str) -> OperatingPoint:
        """Return the operating point of that name."""
        return next(point for point in self.points if point.name == name)


class Estimate(Result):
    """A number with its 95 % interval over subjects, and the one over cells, which is optimistic.

    None: undefined, as the specificity without a normal cell, or an interval of a single subject.
    """

    value: float | None
    low: float | None
    high: float | None
    cell_low: float | None
    cell_high: float | None

    @property
    def clear(self) -> bool:
        """Of a difference: whether its interval over subjects leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


class Calls(Result):
    """How cells are called at one operating point.

    `confusion` counts cells by ``[true class][called class]``, 0 normal, 1 blast.
    """

    point: OperatingPoint
    confusion: list[list[int]]
    metrics: dict[str, Estimate]


class Baseline(Result):
    """A model of what is measured of the same cells, see `leukoscope.evaluation.baselines`.

    `auroc_gain` is the network's AUROC less the baseline's, `accuracy_gain` likewise at 0.5.
    """

    name: str
    auroc: Estimate
    auroc_gain: Estimate
    accuracy: Estimate
    accuracy_gain: Estimate


class Evaluation(Result):
    """What ``metrics-<cells>.json`` says.

    Attributes:
        name: of the cells: a split, or ``external-<name>``.
        checkpoint: whose weights.
        epoch: in which they stood so; None: those of several runs.
        temperature: that softened the probabilities; None: each run of several brought its own.
        prior: log-odds that the network lacked; None likewise.
        cells: with a label; the others cannot be judged.
        normal_subjects: people with normal cells among them.
        blast_subjects: people with blasts.
        scores: what depends on probabilities alone, by name; ``…_uncalibrated`` before the
            temperature. Empty without labels.
        calls: at each operating point, 0.5 first. Empty without labels.
        baselines: what is achieved without a network. Empty without labels.
        shifts: how far external pictures lie from the training ones; empty for a split.
        known_subjects: of external cells: subjects whose name stands in the store as well.
    """

    name: str
    checkpoint: Which
    epoch: int | None
    temperature: float | None
    prior: float | None
    cells: int
    normal_subjects: int
    blast_subjects: int
    scores: dict[str, Estimate] = {}
    calls: list[Calls] = []
    baselines: list[Baseline] = []
    shifts: list[Shift] = []
    known_subjects: list[str] = []

    @property
    def accuracy(self) -> float | None:
        """The share of right calls at 0.5; None without labels."""
        return self.calls[0].metrics["accuracy"].value if self.calls else None

    @property
    def confusion(self) -> list[list[int]] | None:
        """Cells by ``[true class][called class]`` at 0.5; None without labels."""
        return self.calls[0].confusion if self.calls else None

    @classmethod
    def read(cls, run: Run, name: str, which: Which = "best") -> "Evaluation":
        """Read what was written of these cells.

        Raises:
            BadInputError: they were not evaluated, or by an older version.
        """
        path = metrics_file(run, name, which)
        if not path.exists():
            raise BadInputError(
                f"{run.folder} was not evaluated on its {name} split; once it is trained: "
                f"leukoscope evaluate {run.folder} --split {name}"
            )
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise BadInputError(
                f"{path} is of another version; evaluate again: leukoscope evaluate {run.folder}"
            ) from error


def metrics_file(judged: Judged, name: str, which: Which = "best") -> Path:
    """Return where an evaluation is kept."""
    return judged.folder / f"metrics-{_stem(name, which)}.json"


def predictions_file(judged: Judged, name: str, which: Which = "best") -> Path:
    """Return where its predictions are kept."""
    return judged.folder / f"predictions-{_stem(name, which)}.parquet"


def subjects_file(judged: Judged, name: str, which: Which = "best") -> Path:
    """Return where its table of subjects is kept."""
    return judged.folder / f"subjects-{_stem(name, which)}.csv"


def read_subjects(judged: Judged, name: str, which: Which = "best") -> pd.DataFrame:
    """Return that table; names stay as they were given, a number or ``NA`` among them."""
    file = subjects_file(judged, name, which)
    table = pd.read_csv(file, dtype={"subject": "string"}, keep_default_na=False, na_values=[""])
    table["subject"] = table["subject"].map(as_given).astype("string")
    return table


def settled_file(run: Run, which: Which) -> Path:
    """Return where the decisions of validation are kept."""
    return run.folder / f"settled-{which}.json"


def _stem(name: str, which: Which) -> str:
    return name if which == "best" else f"{name}-{which}"
