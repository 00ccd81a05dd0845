"""A division of a store's cells: who trains and on which pictures, who chooses, who judges.

`prepare` makes one; the same pixels may be divided otherwise for a fold of a cross-validation or
for a study, without being written again.
"""

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from leukoscope.cells import plans, splits
from leukoscope.cells.subset import Subset
from leukoscope.errors import BadInputError


class Division(BaseModel):
    """How cells are divided.

    Attributes:
        split: policy of `leukoscope.cells.splits`.
        fold: for the subject split, which part of the people tests.
        plan: ``online`` draws a turn for each cell and epoch; ``lab`` is the original lab's.
        validation_copies: with ``lab``, train on turned copies of the validation cells.
        subset: of the cells that would train, those that do; None: all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: splits.Policy = "subject"
    fold: int = Field(default=0, ge=0)
    plan: plans.PlanName = "online"
    validation_copies: bool = False
    subset: Subset | None = None

    @model_validator(mode="after")
    def _settings_belong_together(self) -> "Division":
        if self.validation_copies and self.plan != "lab":
            raise BadInputError("copies of the validation cells belong to --plan lab")
        if self.fold and self.split != "subject":
            raise BadInputError("folds belong to --split subject")
        return self

    def divide(self, cells: pd.DataFrame, seed: int) -> pd.Series:
        """Return each row's split, as `leukoscope.cells.splits.split` does.

        Raises:
            BadInputError: such a division of `cells`, a manifest, cannot be made.
        """
        divided = splits.split(cells, self.split, seed, self.fold)
        return self.subset.thinned(cells.assign(split=divided)) if self.subset else divided

    def planned(self, cells: pd.DataFrame, seed: int) -> pd.DataFrame | None:
        """Return the plan of `cells`, a manifest with its splits; None: drawn anew each epoch."""
        if self.plan == "online":
            return None
        return plans.lab_plan(cells, seed, self.validation_copies)
