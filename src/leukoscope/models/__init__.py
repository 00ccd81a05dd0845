"""Models: a name becomes an `nn.Module`. A new architecture is one row of the table.

>>> names()
['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152']
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from leukoscope.errors import BadInputError, faults
from leukoscope.models.resnet import ResNet, ResNetBasicBlock, ResNetBottleneck

MODELS: dict[str, Callable[..., nn.Module]] = {
    "resnet18": partial(ResNet, ResNetBasicBlock, (2, 2, 2, 2)),
    "resnet34": partial(ResNet, ResNetBasicBlock, (3, 4, 6, 3)),
    "resnet50": partial(ResNet, ResNetBottleneck, (3, 4, 6, 3)),
    "resnet101": partial(ResNet, ResNetBottleneck, (3, 4, 23, 3)),
    "resnet152": partial(ResNet, ResNetBottleneck, (3, 8, 36, 3)),
}


def names() -> list[str]:
    """Return the names that `create` knows, shallow to deep."""
    return list(MODELS)


def create(name: str, num_classes: int = 2, **options: Any) -> nn.Module:
    """Build the network `name` with fresh weights from torch's global random state.

    Args:
        name: one of `names()`.
        num_classes: width of the last layer.
        options: what the architecture takes; for a ResNet see `leukoscope.models.resnet.ResNet`.

    Raises:
        BadInputError: no such name, or options that the architecture does not take.
    """
    if name not in MODELS:
        raise BadInputError(f"unknown model {name!r}; the models are {', '.join(MODELS)}")
    try:
        return MODELS[name](num_classes=num_classes, **options)
    except ValidationError as error:
        raise BadInputError(f"{name} cannot be built so:{faults(error)}") from error


def parameters(name: str, num_classes: int = 2, **options: Any) -> int:
    """Count the trainable numbers of a model without making room for them."""
    with torch.device("meta"):
        model = create(name, num_classes, **options)
    return sum(weight.numel() for weight in model.parameters())


def gmacs(name: str, size: int, **options: Any) -> float:
    """Count 10⁹ multiply-adds of one forward pass of one (3, size, size) picture."""
    with torch.device("meta"):
        model = create(name, **options).eval()
        picture = torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        model(picture)
    return float(counter.get_total_flops()) / 2e9
