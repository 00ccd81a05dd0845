"""What a batch teaches: its pictures as the network sees them, and what it is to say of them."""

from functools import partial

import torch
from torch import Tensor

from leukoscope.cells.augment import DRAWS
from leukoscope.cells.gather import Batch
from leukoscope.cells.loader import TrainingLoader
from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.standard import Standard
from leukoscope.cells.transfer import moved
from leukoscope.training.recipe import Recipe
from leukoscope.training.teacher import taught
from leukoscope.training.team import ALONE, Team


class Lesson:
    """Augments, teaches and mixes batches of `loader` as `recipe` says.

    Args:
        recipe: how.
        standard: what makes stored pixels what the network sees.
        loader: of the training cells, which a teacher is fitted on.
        team: the processes that train together.
    """

    def __init__(
        self, recipe: Recipe, standard: Standard, loader: TrainingLoader, team: Team = ALONE
    ) -> None:
        self.recipe, self.standard = recipe, standard
        self.taught = taught(loader, team) if recipe.teacher else None

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return pictures, (B, 3, H, W) float32, and targets, on the device of `batch`.

        Targets are classes, (B,) int64, or where a teacher speaks or pictures are mixed the share
        of each class, (B, 2).
        """
        recipe, labels, device = self.recipe, batch.labels, batch.labels.device
        change = None
        if recipe.augmentation.active:
            draws = moved(torch.rand(len(labels), DRAWS), device)
            change = partial(recipe.augmentation, draws=draws)
        pictures, targets = self.standard(batch, change), labels
        if recipe.mixup or self.taught is not None:
            targets = torch.eye(len(CLASSES), dtype=pictures.dtype, device=device)[labels]
        if self.taught is not None:
            told = moved(self.taught[batch.rows], device)
            targets = (1 - recipe.teacher) * targets + recipe.teacher * told
        if not recipe.mixup:
            return pictures, targets
        # One share and one order for the whole batch, as the paper does.
        # Checking the distribution, and a share on the device, would wait for the device.
        beta = torch.distributions.Beta(recipe.mixup, recipe.mixup, validate_args=False)
        share, other = beta.sample(), moved(torch.randperm(len(labels)), device)
        return _mixed(pictures, other, share), _mixed(targets, other, share)


def _mixed(values: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return share * values + (1 - share) * values[other]
