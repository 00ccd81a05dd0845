"""A teacher: what a logistic regression on handmade features says of each training cell.

A network that has to say it as well learns the few things that hold for all people before it can
learn single people by heart (Hinton, Vinyals, Dean 2015, arXiv:1503.02531). The teacher is fitted
on the same training cells, weighted as the recipe draws them, and is not needed to call cells.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.manifest import CLASSES
from leukoscope.training.apart import training_features
from leukoscope.training.team import ALONE, Team


def taught(loader: TrainingLoader, team: Team = ALONE) -> Tensor:
    """Return the probability of each class, (N, 2) float32, of each of the N cells of a store.

    Cells that are not trained on are NaN.

    Args:
        loader: of the training cells.
        team: the processes that call this together.
    """
    store, rows = loader.store, loader.rows
    measured, labels = training_features(loader, team), store.labels[rows]
    # A mean weight of 1: how much the regression is held back does not depend on the drawing.
    weights = None if loader.share is None else loader.share * len(rows)
    teacher = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
    teacher.fit(measured, labels, logisticregression__sample_weight=weights)
    told = np.full((len(store.cells), len(CLASSES)), np.nan, np.float32)
    told[rows] = teacher.predict_proba(measured)
    return torch.from_numpy(told)
