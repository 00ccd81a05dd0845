"""How sharp the minimum is in which a training ended.

Keskar, Mudigere, Nocedal, Smelyanskiy, Tang: On Large-Batch Training for Deep Learning, ICLR 2017,
arXiv:1609.04836, Metric 2.1 in its full-space form (A is the identity): for weights x and a loss
f,

    sharpness(ε) = 100 · (max { f(x + y) : |y_i| ≤ ε (|x_i| + 1) } - f(x)) / (1 + f(x))

They maximise inexactly by ten iterations of L-BFGS-B. Its history takes twenty double-precision
copies of the weights, so here it is projected gradient ascent with as many iterations: each moves
every weight by a share of its own bound, up or down as the gradient says, which is the steepest
way up in a box, and returns it to the box; the highest loss on the way counts. Either is a lower
bound.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

EPSILONS = (1e-3, 5e-4)
"""Keskar et al.'s."""

ITERATIONS = 10

STEP = 0.25
"""Of the bound: a weight crosses the box in eight steps and reaches its wall in four."""


@torch.no_grad()
def sharpness(
    weights: Sequence[Tensor], loss_and_gradient: Callable[[], float], epsilon: float
) -> float:
    """Return the sharpness at `weights`, in percent; they are moved meanwhile and put back.

    Args:
        weights: leaves that require gradients.
        loss_and_gradient: returns the loss at the weights as they are, and leaves its gradient in
            their ``grad``.
        epsilon: half the box's side, relative to each weight's size plus one.
    """
    start = [weight.clone() for weight in weights]
    bounds = [epsilon * (weight.abs() + 1) for weight in weights]
    lowest = highest = _with_gradient(loss_and_gradient)
    for _ in range(ITERATIONS):
        for weight, centre, bound in zip(weights, start, bounds, strict=True):
            if weight.grad is not None:
                weight += STEP * bound * weight.grad.sign()
                weight.clamp_(centre - bound, centre + bound)
        highest = max(highest, _with_gradient(loss_and_gradient))
    for weight, centre in zip(weights, start, strict=True):
        weight.copy_(centre)
    return 100 * (highest - lowest) / (1 + lowest)


def _with_gradient(loss_and_gradient: Callable[[], float]) -> float:
    with torch.enable_grad():
        return loss_and_gradient()
