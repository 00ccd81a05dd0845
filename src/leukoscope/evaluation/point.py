"""An operating point: from which probability a cell is called a blast."""

from pydantic import BaseModel, ConfigDict

HALF = "0.5"
"""The name of the point that calls what is likelier; the original lab's only one."""

EVEN = "prevalence"
"""The name of the point at the share of blasts among the training cells: where probabilities are
right, both classes weigh alike there, and sensitivity + specificity is the largest."""


class OperatingPoint(BaseModel):
    """A threshold, and how it did where it was chosen.

    Attributes:
        name: how it was chosen.
        threshold: probability of blast from which a cell is called one, calibrated.
        sensitivity: on the validation cells; optimistic where it was chosen by it.
        specificity: likewise.
        sensitivity_error: how far that of a new person's cells may lie from it, as a standard
            deviation, see `leukoscope.evaluation.operating.new_person_error`; None: of the
            validation subjects only one has blasts.
        specificity_error: likewise, of normal cells.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    threshold: float
    sensitivity: float
    specificity: float
    sensitivity_error: float | None
    specificity_error: float | None
