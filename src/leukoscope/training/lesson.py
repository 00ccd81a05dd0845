"""What a batch teaches: its pictures as the network sees them, and what it is to say of them."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from leukoscope.cells.augment import DRAWS
from leukoscope.cells.loader import Batch, TrainingLoader
from leukoscope.cells.manifest import CLASSES
from leukoscope.cells.standard import Standard
from leukoscope.training.recipe import Recipe
from leukoscope.training.teacher import taught


class Lesson:
    """Augments, teaches and mixes batches of `loader` as `recipe` says.

    Args:
        recipe: how.
        standard: what makes stored pixels what the network sees.
        loader: of the training cells, which a teacher is fitted on.
    """

    def __init__(self, recipe: Recipe, standard: Standard, loader: TrainingLoader) -> None:
        self.recipe, self.standard = recipe, standard
        self.taught = taught(loader) if recipe.teacher else None

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return pictures, (B, 3, H, W) float32, and targets, on the device of `batch`.

        Targets are classes, (B,) int64, or where a teacher speaks or pictures are mixed the share
        of each class, (B, 2).
        """
        recipe, labels = self.recipe, batch.labels
        change = None
        if recipe.augmentation.active:
            draws = torch.rand(len(labels), DRAWS).to(labels.device)
            change = partial(recipe.augmentation, draws=draws)
        pictures, targets = self.standard(batch, change), labels
        if recipe.mixup or self.taught is not None:
            targets = F.one_hot(labels, len(CLASSES)).to(pictures.dtype)
        if self.taught is not None:
            told = self.taught[batch.rows].to(targets)
            targets = (1 - recipe.teacher) * targets + recipe.teacher * told
        if not recipe.mixup:
            return pictures, targets
        # One share and one order for the whole batch, as the paper does.
        share = torch.distributions.Beta(recipe.mixup, recipe.mixup).sample().item()
        other = torch.randperm(len(labels)).to(labels.device)
        return _mixed(pictures, other, share), _mixed(targets, other, share)


def _mixed(values: Tensor, other: Tensor, share: float) -> Tensor:
    return share * values + (1 - share) * values[other]
