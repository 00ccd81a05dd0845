"""A part of the training cells: fewer people, or fewer cells of each."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field


class Subset(BaseModel):
    """Which of the training cells are trained on.

    With one seed a smaller part lies within a larger one.

    Attributes:
        of: ``people``: whole people, of each class that share; ``cells``: of each person that share
            of their cells. In either case at least one.
        share: of what there is.
        seed: of the draw.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: Literal["people", "cells"]
    share: float = Field(gt=0, lt=1)
    seed: int = 0

    def thinned(self, cells: pd.DataFrame) -> pd.Series:
        """Return each row's split, NA where a training cell is left out.

        Args:
            cells: a manifest with columns `split`, `label` and `person`.
        """
        training = cells[cells["split"].eq("train").fillna(False)]
        random = np.random.default_rng(self.seed)
        if self.of == "cells":
            draw = pd.Series(random.random(len(training)), training.index)
            groups = training["person"]
        else:
            # A person with cells of both classes counts to the one that most are of.
            people = training.groupby("person")["label"].mean().round()
            draw = pd.Series(random.random(len(people)), people.index)
            groups = people
        rank = draw.groupby(groups).rank()
        keep = rank <= np.ceil(self.share * draw.groupby(groups).transform("size"))
        if self.of == "people":
            keep = training["person"].map(keep)
        left_out = training.index[~keep.astype(bool)]
        return cells["split"].mask(cells.index.isin(left_out))
