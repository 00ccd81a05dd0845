"""The norm of the loss's gradient at each layer."""

import copy

import numpy as np
import pandas as pd
from torch import nn

from leukoscope.studies.sample import Batches, loss_and_gradient

END = 0.25
"""Of the layers: the first and the last quarter of a network are compared."""

TINY = 1e-30
"""A gradient of zero counts as this."""


def layer_norms(model: nn.Module, batches: Batches) -> pd.DataFrame:
    """Return the norm of the gradient with respect to each layer's weights; `model` is untouched.

    Layers are the convolutions and the classifier, in the order of the data; shortcuts are left
    out, so that a residual network and its plain twin have the same ones. Batch norm normalises by
    each batch, as in training.

    Returns:
        columns layer (from 1), name, norm.
    """
    model = copy.deepcopy(model)
    loss_and_gradient(model, batches)
    rows: list[tuple[int, str, float]] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name:
            assert module.weight.grad is not None
            rows.append((len(rows) + 1, name, module.weight.grad.norm().item()))
    return pd.DataFrame(rows, columns=["layer", "name", "norm"])


def decades_towards_input(norms: pd.DataFrame) -> float:
    """Return log10 of the first layers' gradient over the last ones', by their medians.

    Negative: the gradient vanishes on its way back to the input; positive: it grows.
    """
    count = max(1, round(len(norms) * END))
    logs = np.log10(norms.sort_values("layer")["norm"].clip(lower=TINY).to_numpy())
    return float(np.median(logs[:count]) - np.median(logs[-count:]))
