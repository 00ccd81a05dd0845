"""Losses along a line through a network's weights, and how far apart their minima lie.

Directions after Li, Xu, Taylor, Studer, Goldstein: Visualizing the Loss Landscape of Neural Nets,
NeurIPS 2018, arXiv:1712.09913: random, each filter as long as the filter that it moves; biases and
norms stay. A step of 1 thus is as long as the weights themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
Floats = NDArray[np.float64]

DRAWS = 1000
"""Of the bootstrap."""


@torch.no_grad()
def random_direction(weights: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Return a filter-normalised direction, one tensor for each of `weights`."""
    generator = torch.Generator().manual_seed(seed)
    direction = []
    for weight in weights:
        step = torch.randn(weight.shape, generator=generator).to(weight)
        if weight.dim() > 1:
            filters = tuple(range(1, weight.dim()))
            step *= _norm(weight, filters) / _norm(step, filters)
        else:
            step.zero_()
        direction.append(step)
    return direction


def _norm(weight: Tensor, over: tuple[int, ...]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(weight, dim=over, keepdim=True)
    return norm


@torch.no_grad()
def along(
    weights: Sequence[Tensor],
    direction: Sequence[Tensor],
    steps: Sequence[float],
    measure: Callable[[], T],
) -> list[T]:
    """Return what `measure` says with `weights` moved by each of `steps` along `direction`.

    The weights are put back at the end.
    """
    start = [weight.clone() for weight in weights]
    measured = []
    for step in steps:
        for weight, centre, way in zip(weights, start, direction, strict=True):
            weight.copy_(centre + step * way)
        measured.append(measure())
    for weight, centre in zip(weights, start, strict=True):
        weight.copy_(centre)
    return measured


def minima(steps: Floats, losses: Floats) -> Floats:
    """Return where each column of `losses` is least, by a parabola through three points.

    Args:
        steps: (P,) evenly spaced, rising.
        losses: (P, ...) at those steps. A column whose least point is an end has its minimum there.
    """
    least = losses.argmin(axis=0)
    inner = least.clip(1, len(steps) - 2)
    before, here, after = (
        np.take_along_axis(losses, (inner + k)[None], axis=0)[0] for k in (-1, 0, 1)
    )
    curvature = before - 2 * here + after
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(curvature > 0, (before - after) / (2 * curvature), 0)
    found = steps[inner] + shift * (steps[1] - steps[0])
    where: Floats = np.where(inner == least, found, steps[least])
    return where


@dataclass(frozen=True)
class Displacement:
    """Where two losses along one line are least, in steps.

    Attributes:
        train, validation: their minima.
        low, high: the 95 % interval of validation's minus training's.
        inside: neither minimum lies at an end of what was looked at.
    """

    train: float
    validation: float
    low: float
    high: float
    inside: bool

    @property
    def size(self) -> float:
        """How far validation's minimum lies beyond training's."""
        return self.validation - self.train


@dataclass(frozen=True)
class Losses:
    """Losses along a line.

    Attributes:
        values: (P, S) mean over each subject's cells at each step.
        cells: (S,) how many each subject has.
    """

    values: Floats
    cells: NDArray[np.int64]

    @property
    def mean(self) -> Floats:
        """(P,) over the cells."""
        mean: Floats = self.values @ self.cells / self.cells.sum()
        return mean

    def resampled(self, random: np.random.Generator) -> Floats:
        """Return (P, `DRAWS`) mean losses over as many subjects, drawn with replacement."""
        subjects = len(self.cells)
        times = random.multinomial(subjects, np.full(subjects, 1 / subjects), DRAWS).T
        weights = self.cells[:, None] * times
        means: Floats = self.values @ weights / weights.sum(axis=0)
        return means


def displacement(steps: Floats, train: Losses, validation: Losses) -> Displacement:
    """Return how far apart the minima of `train` and `validation` lie.

    The interval is that of a bootstrap over subjects, as cells of one person are alike: it says how
    far the minima would move with other people, not with another training.
    """
    random = np.random.default_rng(0)
    apart = minima(steps, validation.resampled(random)) - minima(steps, train.resampled(random))
    low, high = np.percentile(apart, (2.5, 97.5))
    ends = {0, len(steps) - 1}
    return Displacement(
        train=float(minima(steps, train.mean)),
        validation=float(minima(steps, validation.mean)),
        low=float(low),
        high=float(high),
        inside=not ends & {int(train.mean.argmin()), int(validation.mean.argmin())},
    )
