"""Gradient norms against finite differences, on both kinds of network."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from leukoscope import models
from leukoscope.models.resnet import ResNet, ResNetBasicBlock
from leukoscope.studies.gradients import decades_towards_input, layer_norms
from leukoscope.studies.sample import cell_losses, loss_and_gradient


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(12, 3, 32, 32, generator=generator, dtype=torch.float64)
    labels = torch.arange(12) % 2
    return [(pictures[:8], labels[:8]), (pictures[8:], labels[8:])]


def network(residual: bool) -> nn.Module:
    """A residual network of one block a stage, or its plain twin, in double precision."""
    torch.manual_seed(0)
    return ResNet(ResNetBasicBlock, (1, 1, 1, 1), residual=residual).double()


@pytest.mark.parametrize("residual", [True, False])
def test_norms_are_the_slopes_that_finite_differences_find(residual: bool) -> None:
    """Along its own gradient a loss rises by the gradient's norm."""
    model = network(residual)
    norms = layer_norms(model, batches()).set_index("name")["norm"]
    assert all(weight.grad is None for weight in model.parameters())  # untouched
    loss_and_gradient(model, batches())
    layers = dict(model.named_modules())
    for name in ("conv1.0", "conv3_x.0.conv_block2.0"):
        weight = layers[name].weight
        way = weight.grad / weight.grad.norm()
        losses = []
        for step in (1e-7, -1e-7):
            moved = copy.deepcopy(model)
            with torch.no_grad():
                dict(moved.named_modules())[name].weight += step * way
            losses.append(loss_and_gradient(moved, batches()))
        assert norms[name] == pytest.approx((losses[0] - losses[1]) / 2e-7, rel=1e-4)


def test_layers_are_those_of_the_papers_count_with_shortcuts_and_without() -> None:
    for name, layers in (("resnet18", 18), ("resnet50", 50)):
        tables = []
        for residual in (True, False):
            model = models.create(name, residual=residual)
            tables.append(layer_norms(model, [(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))]))
        assert len(tables[0]) == layers
        assert tables[0]["name"].tolist() == tables[1]["name"].tolist()
        assert tables[0]["layer"].tolist() == list(range(1, layers + 1))


def test_the_loss_is_the_mean_over_cells_not_over_batches() -> None:
    model = network(residual=True)
    total = sum(
        F.cross_entropy(model.train()(pictures), labels).item() * len(labels)
        for pictures, labels in batches()
    )
    assert loss_and_gradient(model, batches()) == pytest.approx(total / 12)
    # By the running statistics a cell's loss does not depend on the others of its batch.
    losses = cell_losses(model, batches())
    pictures, labels = batches()[0]
    np.testing.assert_allclose(losses[:1], cell_losses(model, [(pictures[:1], labels[:1])]))
    assert len(losses) == 12


@pytest.mark.parametrize("rate", [-0.25, 0.0, 0.5])
def test_decades_between_the_first_and_the_last_quarter(rate: float) -> None:
    """A norm that changes by 10^rate a layer, back to front: the quarters' centres are 12 apart."""
    layers = np.arange(1, 17)
    norms = pd.DataFrame({"layer": layers, "norm": 10.0 ** (rate * (16 - layers))})
    assert decades_towards_input(norms) == pytest.approx(12 * rate)
    assert decades_towards_input(norms.sample(frac=1, random_state=0)) == pytest.approx(12 * rate)


def test_a_gradient_of_zero_has_vanished() -> None:
    norms = pd.DataFrame({"layer": range(1, 9), "norm": [0.0] * 4 + [1.0] * 4})
    assert decades_towards_input(norms) == pytest.approx(-30)
