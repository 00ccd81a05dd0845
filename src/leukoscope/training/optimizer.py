"""The optimizer of a recipe, over two groups of weights: those that decay and those that do not."""

from typing import Any

import torch
from torch import nn

from leukoscope.training.recipe import Recipe


def optimizer_of(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of `recipe` for the weights of `model`.

    Norms and biases, which have one dimension, do not decay: there is no function that smaller ones
    make simpler.
    """
    weights = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in weights if weight.ndim > 1]},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, weight_decay=decay)
