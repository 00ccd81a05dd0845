"""Likeness: how far a cell lies from those that the model was trained on, and which are nearest.

In the space of the first network's features: probabilistic principal components of the training
cells (Tipping and Bishop 1999, Journal of the Royal Statistical Society B 61). A cell's distance is
the Mahalanobis one, what lies outside the components measured by what of the training cells does.
Distances between directions, as in many nearest-neighbour methods, see nothing here: a network of
two classes turns whatever it is shown into the direction of one or the other.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from leukoscope.files import atomic

COMPONENTS = 16
"""At most; of features there are 512 and more, but a trained network uses few directions."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Likeness:
    """Principal components of F features.

    Attributes:
        mean: (F,).
        axes: (K, F), orthonormal.
        variances: (K,) along the axes.
        noise: (1,) variance along any other direction.
        known: (N, K) the training cells along the axes, each in its standard deviation.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    noise: Floats
    known: Floats

    @classmethod
    def of(cls, features: Floats) -> "Likeness":
        """Return the components of the `features`, (N, F), of training cells."""
        mean = features.mean(axis=0)
        _, spread, axes = np.linalg.svd(features - mean, full_matrices=False)
        variances = spread**2 / max(len(features) - 1, 1)
        # What is left has to have some variance: rounding is the least.
        kept = min(COMPONENTS, len(variances) - 1)
        left = len(mean) - kept
        noise = max(float(variances[kept:].sum()) / left, 1e-12)
        axes, variances = axes[:kept], np.maximum(variances[:kept], noise)
        known = (features - mean) @ axes.T / np.sqrt(variances)
        parts = (mean, axes, variances, np.array([noise]), known)
        return cls(*(np.ascontiguousarray(part, np.float32) for part in parts))

    def distance(self, features: Floats) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of cells from the training cells, (N,).

        Args:
            features: (N, F).
        """
        centred = features.astype(np.float64) - self.mean
        along = centred @ self.axes.T.astype(np.float64)
        beside = (centred**2).sum(axis=1) - (along**2).sum(axis=1)
        squared = (along**2 / self.variances).sum(axis=1) + np.maximum(beside, 0) / self.noise
        return np.asarray(np.sqrt(squared))

    def nearest(self, features: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
        """Return which training cells lie nearest to a cell, and how far, the nearest first.

        Args:
            features: (F,) of the cell.
            count: at most.
        """
        place = (features - self.mean) @ self.axes.T / np.sqrt(self.variances)
        distances = np.linalg.norm(self.known - place, axis=1)
        order = np.argsort(distances, kind="stable")[:count]
        return order, distances[order]

    def write(self, target: Path) -> None:
        """Write the components to `target`, as safetensors."""
        with atomic(target) as scratch:
            scratch.write_bytes(save(vars(self)))

    @classmethod
    def read(cls, path: Path) -> "Likeness":
        """Read what `write` wrote."""
        return cls(**load(path.read_bytes()))
