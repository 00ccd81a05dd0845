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
        if self.of == "cells":
            keep = self._drawn(training["person"])
        else:
            # A person with cells of both classes counts to the one that most are of.
            people = training.groupby("person")["label"].mean().round()
            keep = training["person"].map(self._drawn(people)).astype(bool)
        return cells["split"].mask(cells.index.isin(training.index[~keep]))

    def _drawn(self, groups: pd.Series) -> pd.Series:
        """Return of whom each group keeps its share, by the index of `groups`."""
        draw = pd.Series(np.random.default_rng(self.seed).random(len(groups)), groups.index)
        by_group = draw.groupby(groups)
        return by_group.rank() - 1 < self.share * by_group.transform("size")
